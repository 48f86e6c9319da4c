"""The catalogues of a simulated release list what its redrock files hold."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from outcrop import find_petals
from tests.training.sky.helpers import header, table
from training.sky.petals import remove_sky
from training.sky.zcatalog import CATALOGUES


@pytest.mark.parametrize("layout", ["tiles", "healpix"])
def test_a_catalogue_has_the_rows_of_the_files(release: Path, layout: str) -> None:
    rows = table(release / CATALOGUES[layout], "ZCATALOG")
    petals = find_petals(release / layout)
    assert len(rows) == 120

    for petal in petals:
        cards = header(petal.redrock, 0)
        if layout == "healpix":
            of_petal = (rows["HEALPIX"] == cards["HPXPIXEL"]) & (
                rows["PROGRAM"] == cards["PROGRAM"].encode()
            )
        else:
            of_petal = (rows["TILEID"] == cards["TILEID"]) & (rows["PETAL_LOC"] == cards["PETAL"])
            assert set(rows["LASTNIGHT"][of_petal]) == {cards["NIGHT"]}
        assert set(rows["SURVEY"]) == {b"main"}
        assert set(rows["SPGRPVAL"][of_petal]) == {cards["SPGRPVAL"]}

        redshifts, fibermap = table(petal.redrock, "REDSHIFTS"), table(petal.redrock, "FIBERMAP")
        for name in ("TARGETID", "Z", "ZERR", "ZWARN", "SPECTYPE", "SUBTYPE", "DELTACHI2"):
            np.testing.assert_array_equal(rows[name][of_petal], redshifts[name])
        for name in ("TARGET_RA", "TARGET_DEC", "DESI_TARGET", "OBJTYPE"):
            np.testing.assert_array_equal(rows[name][of_petal], fibermap[name])


def test_one_spectrum_of_each_target_is_primary(release: Path) -> None:
    rows = table(release / CATALOGUES["healpix"], "ZCATALOG")
    ids, count = np.unique(rows["TARGETID"], return_counts=True)
    assert count.max() == 2
    # Logical values are letters in the file.
    primary = rows["ZCAT_PRIMARY"] == ord("T")
    np.testing.assert_array_equal(np.sort(rows["TARGETID"][primary]), ids)
    np.testing.assert_array_equal(rows["ZCAT_PRIMARY"], rows["MAIN_PRIMARY"])

    for targetid in ids[count == 2]:
        both = np.flatnonzero(rows["TARGETID"] == targetid)
        assert (rows["ZCAT_NSPEC"][both] == 2).all()
        best = min(both, key=lambda row: (rows["ZWARN"][row] != 0, -rows["DELTACHI2"][row]))
        assert primary[best]


def test_names_are_places(release: Path) -> None:
    for row in table(release / CATALOGUES["tiles"], "ZCATALOG")[:20]:
        name = row["DESINAME"].decode()
        assert len(name) == 22
        assert name.startswith("DESI J")
        assert float(name[6:14]) == pytest.approx(row["TARGET_RA"], abs=1.001e-4)
        assert float(name[14:]) == pytest.approx(row["TARGET_DEC"], abs=1.001e-4)


def test_a_catalogue_is_removed_with_its_sky(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "sky")
    remove_sky(tmp_path / "sky")
    assert not list((tmp_path / "sky").rglob("*.*"))
