"""A redshift catalogue, however large, says which coadds there are."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from outcrop import InputError
from release.plan.catalogue import Catalogue
from release.plan.selection import PlanSelection
from tests.release.plan.helpers import row, tile_row, write_catalogue

EVERYTHING = PlanSelection()


def test_a_coadd_is_planned_for_each_survey_program_and_pixel(tmp_path: Path) -> None:
    rows = [row(1), row(2), row(3, 100), row(4, SURVEY="sv3"), row(5, PROGRAM="dark"), row(6)]
    petals, selected = Catalogue(write_catalogue(tmp_path / "z.fits", rows)).petals(EVERYTHING)
    assert {(one.coadd, one.spectra) for one in petals} == {
        ("healpix/main/bright/272/27247/coadd-main-bright-27247.fits", 3),
        ("healpix/main/bright/1/100/coadd-main-bright-100.fits", 1),
        ("healpix/sv3/bright/272/27247/coadd-sv3-bright-27247.fits", 1),
        ("healpix/main/dark/272/27247/coadd-main-dark-27247.fits", 1),
    }
    assert selected == 6
    for petal in petals:
        assert petal.redrock == petal.coadd.replace("coadd-", "redrock-")
        assert (petal.survey, petal.program) == tuple(petal.coadd.split("/")[1:3])
        assert petal.coadd.endswith(f"-{petal.healpix}.fits")


def test_a_catalogue_of_tiles_names_petals(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path / "z.fits", [tile_row(1, 4), tile_row(2, 4), tile_row(3, 5)])
    petals, _ = Catalogue(path).petals(EVERYTHING)
    assert [(one.coadd, one.petal, one.spectra) for one in petals] == [
        ("tiles/cumulative/80613/20210324/coadd-4-80613-thru20210324.fits", 4, 2),
        ("tiles/cumulative/80613/20210324/coadd-5-80613-thru20210324.fits", 5, 1),
    ]
    assert {(one.tileid, one.survey, one.program, one.healpix) for one in petals} == {
        (80613, "main", "bright", -1)
    }


def test_adaptive_pixels_and_the_columns_of_later_catalogues(tmp_path: Path) -> None:
    rows = [
        {
            **{"TARGETID": 39627, "SURVEY": "special", "PROGRAM": "dark", "UNIQPIX": 699669},
            **{"Z_BEST": 1.5, "ZWARN_BEST": 0, "SPECTYPE_BEST": "QSO"},
        }
    ]
    catalogue = Catalogue(write_catalogue(tmp_path / "z.fits", rows))
    (petal,), _ = catalogue.petals(PlanSelection(z_range=(1, 2), spectypes=("QSO",)))
    assert petal.coadd == "spectra/special/dark/6996/699669/coadd-special-dark-699669.fits"
    assert (petal.uniqpix, petal.healpix) == (699669, -1)
    assert catalogue.petals(PlanSelection(spectypes=("GALAXY",))) == ([], 0)


def test_survey_and_program_may_be_cards(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row(1).items() if key not in ("SURVEY", "PROGRAM")}]
    path = write_catalogue(tmp_path / "z.fits", rows, SURVEY="sv1", PROGRAM="other")
    (petal,), _ = Catalogue(path).petals(EVERYTHING)
    assert petal.coadd == "healpix/sv1/other/272/27247/coadd-sv1-other-27247.fits"


def test_a_selected_coadd_has_the_number_of_all_its_rows(tmp_path: Path) -> None:
    rows = [row(1, Z=0.2), row(2, Z=0.4), row(3, 5, Z=0.4), row(4, 6, Z=0.1, PROGRAM="dark")]
    catalogue = Catalogue(write_catalogue(tmp_path / "z.fits", rows))
    petals, selected = catalogue.petals(PlanSelection(programs=("bright",), z_range=(0, 0.3)))
    assert [(one.healpix, one.spectra) for one in petals] == [(27247, 2)]
    assert selected == 1


def test_rows_of_a_coadd_may_be_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("release.zcatalog._BLOCK_BYTES", 100)
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 10, 500)
    rows = [row(number, int(pixel)) for number, pixel in enumerate(pixels)]
    petals, selected = Catalogue(write_catalogue(tmp_path / "z.fits", rows)).petals(EVERYTHING)
    assert {one.healpix: one.spectra for one in petals} == dict(enumerate(np.bincount(pixels)))
    assert selected == 500


@pytest.mark.parametrize(
    ("rows", "cards", "message"),
    [
        ([{"TARGETID": 1}], {}, "has no columns HEALPIX, UNIQPIX or TILEID, PETAL_LOC and"),
        ([tile_row(1, 4)], {"SPGRP": "pernight"}, "or its tiles are not cumulative; name zall-"),
        ([{"TARGETID": 1, "HEALPIX": 1}], {}, "has no SURVEY, neither a column nor a card"),
        ([row(1, SURVEY="../etc")], {}, r"z\.fits: coadd is 'healpix/\.\./etc/"),
        ([row(1, SURVEY=b"\xff")], {}, r"z\.fits: survey of .* is '\\ufffd'; expected up to 20"),
        ([row(1, -5)], {}, r"z\.fits: healpix of .* is -5; expected a whole number"),
        ([row(1, SURVEY="")], {}, r"z\.fits: coadd is 'healpix//bright"),
    ],
)
def test_catalogues_that_name_no_coadds_are_refused(
    tmp_path: Path, rows: list[dict[str, object]], cards: dict[str, str], message: str
) -> None:
    path = write_catalogue(tmp_path / "z.fits", rows, **cards)
    with pytest.raises(InputError, match=message):
        Catalogue(path).petals(EVERYTHING)


def test_a_selection_needs_its_column(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row(1).items() if key != "SPECTYPE"}]
    catalogue = Catalogue(write_catalogue(tmp_path / "z.fits", rows))
    with pytest.raises(InputError, match="there is no column SPECTYPE, by which is selected"):
        catalogue.petals(PlanSelection(spectypes=("QSO",)))


def test_other_files_are_no_catalogues(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path / "z.fits", [row(1)], name="REDSHIFTS")
    with pytest.raises(InputError, match="has no HDU ZCATALOG; it has PRIMARY, REDSHIFTS: name a"):
        Catalogue(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Catalogue(tmp_path / "none.fits")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        Catalogue(tmp_path)

    whole = write_catalogue(tmp_path / "z.fits", [row(number) for number in range(200)])
    for length in (0, 100, 2880, 5760, 9000):
        (tmp_path / "cut.fits").write_bytes(whole.read_bytes()[:length])
        with pytest.raises(InputError, match=r"cut\.fits"):
            Catalogue(tmp_path / "cut.fits")


def test_a_catalogue_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path / "z.fits", [row(number) for number in range(200)])
    catalogue = Catalogue(path)
    os.truncate(path, path.stat().st_size - 8640)
    with pytest.raises(InputError, match="was cut off while it was read; fetch it again"):
        catalogue.petals(EVERYTHING)


def test_the_memory_does_not_grow_with_the_catalogue(tmp_path: Path) -> None:
    # A gigabyte, of which the file system keeps the few bytes that are not zero.
    path, width, number = tmp_path / "z.fits", 1 << 20, 1024
    columns = [
        fits.Column("TARGETID", "K"),
        fits.Column("HEALPIX", "J"),
        fits.Column("SURVEY", "7A"),
        fits.Column("PROGRAM", "6A"),
        fits.Column("REST", f"{width - 25}B"),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, nrows=0, name="ZCATALOG")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    content = path.read_bytes().replace(
        f"NAXIS2  = {0:20d}".encode(), f"NAXIS2  = {number:20d}".encode()
    )
    kind = np.dtype([("TARGETID", ">i8"), ("HEALPIX", ">i4"), ("SURVEY", "S7"), ("PROGRAM", "S6")])
    with path.open("wb") as stream:
        stream.write(content)
        for row_number in range(number):
            stream.seek(len(content) + row_number * width)
            stream.write(np.array((row_number, row_number // 8, "main", "dark"), kind).tobytes())
    os.truncate(path, len(content) + -(-width * number // 2880) * 2880)
    assert path.stat().st_size > 1 << 30

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), hard))
    try:
        petals, selected = Catalogue(path).petals(EVERYTHING)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert len(petals) == 128
    assert {one.spectra for one in petals} == {8}
    assert selected == number
