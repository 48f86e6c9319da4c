"""Rows are found in a zcatalog that is read in blocks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from outcrop import InputError
from release import zcatalog as module
from release.collect.scan import scan
from release.collect.zcatalog import Zcatalog, match
from tests.release.collect.made_tables import write_table, write_zcatalog


@pytest.fixture
def many(tmp_path: Path) -> Any:
    """Tables of 300 targets in three programs, many of them in several."""
    rng = np.random.default_rng(1)
    for program in ("bright", "dark", "backup"):
        for healpix in (7, 8):
            ids = np.flatnonzero(rng.random(300) < 0.5) + 1000 * healpix
            name = f"outliers-main-{program}-{healpix}.fits"
            write_table(tmp_path / "t" / name, ids.tolist(), program=program, healpix=healpix)
    return scan(tmp_path / "t").index


def test_rows_are_matched_as_one_by_one(
    tmp_path: Path, many: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    rows = [
        (int(targetid), "main", program, healpix, bool(rng.random() < 0.5))
        for healpix in (7, 8, 9)
        for targetid in range(1000 * healpix, 1000 * healpix + 300)
        for program in ("bright", "dark")
        if rng.random() < 0.8
    ]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    zcatalog = Zcatalog(write_zcatalog(tmp_path / "z.fits", rows))
    monkeypatch.setattr(module, "_BLOCK_BYTES", 10_000)
    assert len(list(zcatalog.blocks())) > 10
    found, primary = match(many, zcatalog)

    known = {row[:4]: number for number, row in enumerate(rows)}
    at = 0
    for table in many.tables:
        for targetid in many.targetid[at : at + table.rows].tolist():
            expected = known.get((targetid, "main", table.program, table.healpix), -1)
            assert found[at] == expected
            assert primary[at] == (expected >= 0 and rows[expected][4])
            at += 1
    assert (found >= 0).any()
    assert (found < 0).any()
    names = zcatalog.names(found).tolist()
    assert names == [f"DESI J{rows[i][0]}".encode() if i >= 0 else b"" for i in found.tolist()]


def test_a_catalogue_of_tiles_is_matched_by_tile(tmp_path: Path) -> None:
    write_table(tmp_path / "t" / "outliers-1.fits", [4, 5], tileid=10)
    write_table(tmp_path / "t" / "outliers-2.fits", [4], tileid=11)
    write_table(tmp_path / "t" / "outliers-3.fits", [5], healpix=3)
    columns = {"TARGETID": [5, 4, 4], "TILEID": [10, 11, 12]}
    made = [fits.Column(name=n, format="K", array=np.array(a)) for n, a in columns.items()]
    made.append(fits.Column(name="ZCAT_PRIMARY", format="L", array=np.array([True, True, False])))
    table = fits.BinTableHDU.from_columns(made, name="ZCATALOG")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "z.fits")

    zcatalog = Zcatalog(tmp_path / "z.fits")
    assert zcatalog.by_tile
    assert not zcatalog.has_names
    found, primary = match(scan(tmp_path / "t").index, zcatalog)
    assert found.tolist() == [-1, 0, 1, -1]
    assert primary.tolist() == [False, True, True, False]


def test_a_catalogue_of_another_release_is_refused(tmp_path: Path, many: Any) -> None:
    zcatalog = Zcatalog(write_zcatalog(tmp_path / "z.fits", [(1, "main", "dark", 7, True)]))
    with pytest.raises(InputError, match=r"none of the .* rows is in .*healpix coadds"):
        match(many, zcatalog)


def test_a_catalogue_with_repeats_is_refused(tmp_path: Path, many: Any) -> None:
    table = next(one for one in many.tables if one.healpix == 7)
    row = (int(many.targetid[0]), "main", table.program, 7, True)
    zcatalog = Zcatalog(write_zcatalog(tmp_path / "z.fits", [row, row]))
    with pytest.raises(InputError, match=f"several rows for TARGETID {row[0]}"):
        match(many, zcatalog)


def test_a_catalogue_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_zcatalog(tmp_path / "z.fits", [(n, "main", "dark", 7, True) for n in range(99)])
    path.write_bytes(path.read_bytes()[:-2880])
    with pytest.raises(InputError, match=r"z\.fits is cut off"):
        Zcatalog(path)


@pytest.mark.parametrize("column", ["ZCAT_PRIMARY", "TARGETID", "HEALPIX"])
def test_a_column_that_is_missing_is_named(tmp_path: Path, column: str) -> None:
    path = write_zcatalog(tmp_path / "z.fits", [(1, "main", "dark", 7, True)])
    path.write_bytes(path.read_bytes().replace(column.encode(), b"X" * len(column)))
    with pytest.raises(InputError, match=f"has no column {column}"):
        Zcatalog(path)


def test_other_files_are_no_zcatalog(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Zcatalog(tmp_path / "missing.fits")
    fits.PrimaryHDU().writeto(tmp_path / "other.fits")
    with pytest.raises(InputError, match="has no HDU ZCATALOG"):
        Zcatalog(tmp_path / "other.fits")


def test_survey_and_program_may_be_in_the_header(tmp_path: Path) -> None:
    """As in the zcatalog of one program."""
    write_table(tmp_path / "t" / "outliers-1.fits", [4, 5], healpix=7)
    write_table(tmp_path / "t" / "outliers-2.fits", [4], healpix=7, program="dark")
    columns = {"TARGETID": [5, 4], "HEALPIX": [7, 7]}
    made = [fits.Column(name=n, format="K", array=np.array(a)) for n, a in columns.items()]
    made.append(fits.Column(name="ZCAT_PRIMARY", format="L", array=np.array([True, False])))
    header = fits.Header({"SURVEY": "main", "PROGRAM": "bright"})
    table = fits.BinTableHDU.from_columns(made, header=header, name="ZCATALOG")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "z.fits")
    found, primary = match(scan(tmp_path / "t").index, Zcatalog(tmp_path / "z.fits"))
    assert found.tolist() == [1, 0, -1]
    assert primary.tolist() == [False, True, False]


def test_names_that_are_not_ascii_match_nothing(tmp_path: Path, many: Any) -> None:
    rows = [(int(many.targetid[n]), "main", many.tables[0].program, 7, True) for n in (0, 1)]
    path = write_zcatalog(tmp_path / "z.fits", rows)
    content = path.read_bytes()
    at = content.rindex(b"main")
    path.write_bytes(content[:at] + b"m\xf3in" + content[at + 4 :])
    found, _ = match(many, Zcatalog(path))
    assert found[:2].tolist() == [0, -1]


def test_a_column_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write_zcatalog(tmp_path / "z.fits", [(1, "main", "dark", 7, True)])
    content = path.read_bytes()
    at = content.index(b"TFORM4")
    path.write_bytes(
        content[:at] + content[at : at + 80].replace(b"'J", b"'E") + content[at + 80 :]
    )
    with pytest.raises(InputError, match="column HEALPIX holds >f4"):
        Zcatalog(path)
