"""Healpix files have the names, places and columns of DESI's, and targets in common."""

import csv
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy_healpix import HEALPix

from outcrop import find_petals, read_spectra
from tests.training.sky.helpers import SEED, header, pixels, table
from training.sky.healpix import number_of
from training.sky.nuisances import is_repeated
from training.sky.petals import simulate


@pytest.fixture
def files(release: Path) -> tuple[Path, Path]:
    """Coadds of the bright and of the dark programme, of one pixel."""
    bright, dark = (petal.coadd for petal in find_petals(release / "healpix"))
    return bright, dark


def test_files_have_the_paths_of_desi(release: Path, files: tuple[Path, Path]) -> None:
    for program, path in zip(("bright", "dark"), files, strict=True):
        pixel = path.parent.name
        assert path.relative_to(release).as_posix() == (
            f"healpix/main/{program}/{int(pixel) // 100}/{pixel}/coadd-main-{program}-{pixel}.fits"
        )
    assert len(find_petals(release / "tiles" / "cumulative")) == 2


def test_headers_name_the_pixel(files: tuple[Path, Path]) -> None:
    for program, path in zip(("bright", "dark"), files, strict=True):
        cards = header(path, 0)
        pixel = int(path.parent.name)
        assert cards["SURVEY"], cards["PROGRAM"] == ("main", program)
        assert (cards["SPGRP"], cards["SPGRPVAL"]) == ("healpix", pixel)
        assert (cards["HPXPIXEL"], cards["HPXNSIDE"], cards["HPXNEST"]) == (pixel, 64, True)
        assert "TILEID" not in cards


def test_all_targets_lie_in_the_pixel(files: tuple[Path, Path]) -> None:
    grid = HEALPix(nside=64, order="nested")
    for path in files:
        rows = table(path, "FIBERMAP")
        ra, dec = rows["TARGET_RA"] * units.deg, rows["TARGET_DEC"] * units.deg
        assert set(grid.lonlat_to_healpix(ra, dec)) == {int(path.parent.name)}
        assert len(np.unique(rows["TARGET_RA"])) == 60


def test_two_programmes_have_targets_in_common_at_one_place(files: tuple[Path, Path]) -> None:
    bright, dark = (table(path, "FIBERMAP") for path in files)
    _, first, second = np.intersect1d(bright["TARGETID"], dark["TARGETID"], return_indices=True)
    assert 0 < len(first) < 60
    for column in ("TARGET_RA", "TARGET_DEC"):
        np.testing.assert_array_equal(bright[column][first], dark[column][second])
    flux = [pixels(path, "B_FLUX")[rows] for path, rows in zip(files, (first, second), strict=True)]
    assert (flux[0] != flux[1]).any(axis=1).all()


def test_what_is_of_an_exposure_is_read_from_its_table(files: tuple[Path, Path]) -> None:
    rows, exposures = table(files[0], "FIBERMAP"), table(files[0], "EXP_FIBERMAP")
    assert not {"TILEID", "PETAL_LOC", "FIBER"}.intersection(rows.dtype.names or ())
    np.testing.assert_array_equal(exposures["TARGETID"], rows["TARGETID"])

    redrock = files[0].with_name(files[0].name.replace("coadd", "redrock"))
    spectra = read_spectra(files[0], redrock)
    assert spectra.inputs.cards["HEALPIX"] == int(files[0].parent.name)
    assert spectra.fiber is not None
    np.testing.assert_array_equal(spectra.fiber, exposures["FIBER"])


def test_a_file_has_the_spectra_of_its_petal(release: Path, files: tuple[Path, Path]) -> None:
    # The first file is of the first petal, which is in the tile as well.
    tile = find_petals(release / "tiles")[0].coadd
    for name in ("B_FLUX", "R_IVAR", "Z_MASK"):
        np.testing.assert_array_equal(pixels(tile, name), pixels(files[0], name))
    ids = table(tile, "FIBERMAP")["TARGETID"]
    np.testing.assert_array_equal(table(files[0], "FIBERMAP")["TARGETID"], ids)


@pytest.mark.long
def test_some_fibers_are_those_of_the_whole_petal(release: Path, injected: Path) -> None:
    some, whole = (find_petals(folder)[0].coadd for folder in (release / "tiles", injected))
    ids = table(whole, "FIBERMAP")["TARGETID"]
    rows = np.flatnonzero(np.isin(ids, table(some, "FIBERMAP")["TARGETID"]))
    assert len(rows) == 60
    assert is_repeated(ids)[rows].sum() == is_repeated(ids).sum() > 0
    np.testing.assert_array_equal(pixels(some, "B_FLUX"), pixels(whole, "B_FLUX")[rows])


def test_every_petal_is_of_one_file() -> None:
    numbers = [number_of(file) for file in range(60)]
    assert sorted(numbers) == list(range(60))
    # Pairs have the same number on tiles next to each other.
    assert all(b - a == 10 for a, b in zip(numbers[::2], numbers[1::2], strict=True))


def test_the_truth_is_of_all_layouts(release: Path) -> None:
    with (release / "truth.csv").open() as file:
        ids = [int(row["TARGETID"]) for row in csv.DictReader(file)]
    rows = np.concatenate(
        [table(each.coadd, "FIBERMAP")[["TARGETID", "OBJTYPE"]] for each in find_petals(release)]
    )
    assert len(ids) == len(set(ids))
    assert set(ids) == set(rows["TARGETID"][rows["OBJTYPE"] == b"TGT"].tolist())


def test_other_layouts_and_numbers_of_fibers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="layout is 'petals'; expected tiles or healpix"):
        simulate(tmp_path / "sky", 1, SEED, layouts=("petals",))
    with pytest.raises(ValueError, match="fibers is 501; expected 1 to 500"):
        simulate(tmp_path / "sky", 1, SEED, fibers=501)
    assert not (tmp_path / "sky").exists()
