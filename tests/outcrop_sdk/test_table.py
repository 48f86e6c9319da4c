"""The score table: complete, row-matched, self-describing, and there at once or not at all."""

import dataclasses
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from outcrop import InputError, Scores, Spectra, Status, check_output, write_scores
from outcrop.table import FLUX_UNIT, IVAR_UNIT
from tests.outcrop_sdk.sample import (
    BINS,
    LATENTS,
    read_table,
    some_model,
    some_scores,
    some_spectra,
)

FORMATS = {
    "TARGETID": "K",
    "Z": "D",
    "ZWARN": "K",
    "SPECTYPE": "6A",
    "STATUS": "J",
    "SNR": "E",
    "COVERAGE": "E",
    "NORM": "E",
    "LATENT": f"{LATENTS}E",
    "WMSE": "E",
    "NOF": "E",
    "WMSE_ANOMALY": "L",
    "NOF_ANOMALY": "L",
    "P_VALUE": "D",
    "ANOMALY": "L",
}


def with_redrock(n: int) -> Spectra:
    return dataclasses.replace(
        some_spectra(n),
        zwarn=np.arange(n, dtype=np.int64) * 4,
        spectype=np.array(["GALAXY", "QSO", "STAR"])[np.arange(n) % 3],
    )


def test_the_table_is_exactly_the_documented_one(tmp_path: Path) -> None:
    spectra = with_redrock(5)
    scores = some_scores(spectra)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with fits.open(tmp_path / "o.fits", checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "OUTLIERS"]
        table = hdus["OUTLIERS"]
        assert {column.name: column.format for column in table.columns} == FORMATS
        assert list(table.columns.names) == list(FORMATS)
        assert {c.name: c.unit for c in table.columns if c.unit} == {"NORM": FLUX_UNIT}
        for name, values in scores.columns().items():
            np.testing.assert_array_equal(table.data[name.upper()], values)
        np.testing.assert_array_equal(table.data["Z"], spectra.z)
        assert table.data["ZWARN"].tolist() == [0, 4, 8, 12, 16]
        assert table.data["SPECTYPE"].tolist() == ["GALAXY", "QSO", "STAR", "GALAXY", "QSO"]
        assert {"CHECKSUM", "DATASUM"} <= set(table.header)


def test_the_header_says_what_scored(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = some_model("simulated")
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    header = fits.getheader(tmp_path / "o.fits", "OUTLIERS")
    cards = {
        "MODEL": "outcrop",
        "MODELVER": "20260101",
        "MODELSHA": model.sha256,
        "SAMPLE": "simulated",
        "WMSETHR": 2.55,
        "NOFTHR": -1.44,
        "PLEVEL": 0.01,
        "ZMIN": -0.002,
        "ZMAX": 0.3,
        "DEPNAM00": "numpy",
        "DEPVER00": "2.4.6",
        "DEPNAM01": "onnxruntime",
        "DEPVER01": "1.31.0",
    }
    assert {key: header[key] for key in cards} == cards
    comments = [str(line) for line in header["COMMENT"]]
    assert comments == [f"STATUS bit {bit.value.bit_length() - 1}: {bit.name}" for bit in Status]


def test_long_names_are_written_whole_and_without_a_warning(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), sample="desi dr1, " * 20, version="v" * 60)
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    header = fits.getheader(tmp_path / "o.fits", "OUTLIERS")
    assert (header["SAMPLE"], header["MODELVER"]) == (model.sample.rstrip(), model.version)


def test_without_a_redrock_file_its_columns_are_empty(tmp_path: Path) -> None:
    spectra = some_spectra(2)
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), some_model())
    table = read_table(tmp_path / "o.fits")
    assert table["ZWARN"].tolist() == [0, 0]
    assert table["SPECTYPE"].tolist() == ["", ""]


def test_reconstructions_are_images_with_units(tmp_path: Path) -> None:
    spectra = some_spectra(3)
    scores = some_scores(spectra, reconstruction=True)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with fits.open(tmp_path / "o.fits", checksum=True) as hdus:
        expected = {
            "WAVELENGTH": (some_model().wave, "Angstrom", -64),
            "FLUX": (scores.rest_flux, FLUX_UNIT, -32),
            "MODEL": (scores.reconstruction, FLUX_UNIT, -32),
            "IVAR": (scores.rest_ivar, IVAR_UNIT, -32),
        }
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "OUTLIERS", *expected]
        for name, (values, unit, bits) in expected.items():
            np.testing.assert_array_equal(hdus[name].data, values)
            assert hdus[name].header["BUNIT"] == unit
            assert hdus[name].header["BITPIX"] == bits


def test_units_are_understood(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), some_model())
    norm = Table.read(tmp_path / "o.fits", hdu="OUTLIERS")["NORM"]
    assert norm.unit.to("erg / (s cm2 Angstrom)") == pytest.approx(1e-17)


@pytest.mark.parametrize("reconstruction", [False, True])
def test_a_table_without_rows_is_a_table(tmp_path: Path, reconstruction: bool) -> None:
    spectra = with_redrock(0)
    scores = some_scores(spectra, reconstruction)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with fits.open(tmp_path / "o.fits", checksum=True) as hdus:
        table = hdus["OUTLIERS"]
        assert len(table.data) == 0
        assert {column.name: column.format for column in table.columns} == FORMATS
        assert ("FLUX" in hdus) == reconstruction
        if reconstruction:
            assert hdus["FLUX"].shape == (0, BINS)


def test_rows_that_could_not_be_scored_are_rows_of_nan(tmp_path: Path) -> None:
    spectra = some_spectra(2)
    scores = some_scores(spectra)
    for column in scores.columns().values():
        if column.dtype.kind == "f":
            column[...] = np.nan
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    table = read_table(tmp_path / "o.fits")
    assert table["TARGETID"].tolist() == [1, 2]
    assert np.isnan(table["P_VALUE"]).all()
    assert np.isnan(table["LATENT"]).all()


def test_a_gzipped_name_is_a_gzipped_file(tmp_path: Path) -> None:
    spectra = some_spectra(2)
    write_scores(tmp_path / "o.fits.gz", spectra, some_scores(spectra), some_model())
    assert (tmp_path / "o.fits.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert read_table(tmp_path / "o.fits.gz")["TARGETID"].tolist() == [1, 2]


# --- at once or not at all


def written(path: Path, scores: Scores | None = None, **more: Any) -> None:
    spectra = some_spectra(2)
    write_scores(path, spectra, scores or some_scores(spectra), some_model(), **more)


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "o.fits"
    output.write_text("precious")
    with pytest.raises(InputError, match=r"o\.fits exists; choose another name or overwrite it"):
        written(output)
    assert output.read_text() == "precious"
    written(output, overwrite=True)
    assert len(read_table(output)) == 2
    assert list(tmp_path.iterdir()) == [output]


def test_an_output_that_cannot_be_is_refused_early(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"its folder .*absent does not exist; make it first"):
        check_output(tmp_path / "absent" / "o.fits")
    with pytest.raises(InputError, match="is a folder; name a file"):
        check_output(tmp_path, overwrite=True)
    check_output(tmp_path / "o.fits")


def test_the_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        written(tmp_path / "o.fits")
    finally:
        os.umask(before)
    assert (tmp_path / "o.fits").stat().st_mode & 0o777 == 0o640


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 3000, 8000])
def test_a_full_disk_leaves_nothing_new_behind(tmp_path: Path, size: int) -> None:
    output = tmp_path / "o.fits"
    with full_disk(size), pytest.raises(InputError, match=r"o\.fits cannot be written: "):
        written(output)
    assert list(tmp_path.iterdir()) == []
    output.write_text("precious")
    with full_disk(size), pytest.raises(InputError, match="cannot be written"):
        written(output, overwrite=True)
    assert output.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [output]


def test_scores_of_other_spectra_are_refused(tmp_path: Path) -> None:
    for other in (some_spectra(2, first=2), some_spectra(3)):
        with pytest.raises(InputError, match="their TARGETIDs differ"):
            written(tmp_path / "o.fits", some_scores(other))
    assert list(tmp_path.iterdir()) == []


def test_reconstructions_of_another_model_are_refused(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), wave=np.arange(9.0))
    with pytest.raises(InputError, match=f"reconstructions have {BINS} bins, model outcrop"):
        write_scores(tmp_path / "o.fits", spectra, some_scores(spectra, True), model)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_fits_cannot_hold_is_refused(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), name="αβγ")
    with pytest.raises(InputError, match="cannot be named in a FITS header"):
        write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    assert list(tmp_path.iterdir()) == []
