"""Spectra carry their origin: the files, and the coadd's cards of what was observed."""

from pathlib import Path

import pytest

from outcrop import read_spectra
from outcrop.fingerprint import FileFingerprint
from outcrop.inputs import Inputs
from tests.outcrop_sdk.sample import (
    band_hdus,
    fibermap,
    some_spectra,
    write,
    write_coadd,
    write_redrock,
)

IDS = [11, 12, 13]


def test_spectra_that_were_not_read_have_no_origin() -> None:
    assert some_spectra(2).inputs == Inputs()


def test_read_spectra_have_their_files_and_the_cards_of_the_coadd(tmp_path: Path) -> None:
    observed = {"TILEID": 80613, "PETAL": 4, "NIGHT": 20210324, "SURVEY": "main", "FAPRGRM": "dark"}
    more = {"SPGRP": "cumulative", "DEPNAM00": "SPECPROD", "DEPVER00": "fuji"}
    coadd = write_coadd(tmp_path / "coadd.fits", IDS, **observed, **more)
    redrock = write_redrock(tmp_path / "redrock.fits", IDS)
    inputs = read_spectra(coadd, redrock).inputs
    assert inputs.files == (FileFingerprint.of(coadd), FileFingerprint.of(redrock))
    assert inputs.cards == observed | {"SPECPROD": "fuji"}
    assert read_spectra(coadd, z=0.1).inputs.files == inputs.files[:1]


def test_the_survey_may_be_in_the_header_of_the_fibermap_but_never_the_tile(tmp_path: Path) -> None:
    table = fibermap(IDS)
    table.header.update({"SURVEY": "sv1", "PROGRAM": "other", "TILEID": 1, "NIGHT": 2})
    coadd = write(tmp_path / "coadd.fits", [table, *band_hdus("r", IDS)], PROGRAM="bright")
    assert read_spectra(coadd, z=0.1).inputs.cards == {"SURVEY": "sv1", "PROGRAM": "bright"}


def test_a_healpixel_has_its_number(real: Path) -> None:
    cards = read_spectra(real / "coadd-special-dark-27247.fits", z=0.1).inputs.cards
    assert cards == {
        **{"SURVEY": "special", "PROGRAM": "dark", "SPECPROD": cards["SPECPROD"]},
        **{"HEALPIX": 27247, "HPXPIXEL": 27247, "HPXNSIDE": 64, "HPXNEST": True},
    }


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0]])
def test_columns_of_redrock_are_those_of_the_rows(tmp_path: Path, rows: list[int]) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    columns = read_spectra(
        coadd, write_redrock(tmp_path / "redrock.fits", [IDS[row] for row in rows])
    ).columns()
    assert columns["targetid"].tolist() == [IDS[row] for row in rows]
    assert columns["zerr"].tolist() == [1e-5 * (i + 1) for i in range(len(rows))]
    assert columns["deltachi2"].tolist() == [10.0 + i for i in range(len(rows))]
    assert columns["subtype"].tolist() == ["LOZ"] * len(rows)
    assert columns["fiber"].tolist() == [1000 + row for row in rows]


def test_a_redrock_file_may_lack_them(tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", IDS)
    redrock = write_redrock(tmp_path / "redrock.fits", IDS, without="ZERR")
    assert read_spectra(coadd, redrock).zerr is None
    assert read_spectra(coadd, redrock).deltachi2 is not None
