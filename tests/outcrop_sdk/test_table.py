"""The score table is complete, row-matched, self-describing, and written completely or not."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from outcrop import InputError, ModelChanged, Scores, Spectra, Status, write_scores
from outcrop.table import FLUX_UNIT, IVAR_UNIT
from tests.outcrop_sdk.sample import (
    BINS,
    LATENTS,
    open_fits,
    read_header,
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
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
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


def test_the_header_describes_the_model(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = some_model("simulated")
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    header = read_header(tmp_path / "o.fits")

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


def test_long_names_are_written_in_full_and_without_a_warning(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), sample="desi dr1, " * 20, version="v" * 60)
    scores = some_scores(spectra, model=model.identity)
    write_scores(tmp_path / "o.fits", spectra, scores, model)
    header = read_header(tmp_path / "o.fits")
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
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
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


def test_astropy_reads_the_units(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), some_model())
    norm = Table.read(tmp_path / "o.fits", hdu="OUTLIERS")["NORM"]
    assert norm.unit.to("erg / (s cm2 Angstrom)") == pytest.approx(1e-17)


@pytest.mark.parametrize("reconstruction", [False, True])
def test_a_table_without_rows_is_a_table(tmp_path: Path, reconstruction: bool) -> None:
    spectra = with_redrock(0)
    scores = some_scores(spectra, reconstruction)
    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    with open_fits(tmp_path / "o.fits", checksum=True) as hdus:
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


# --- what is refused


def write_some(path: Path, scores: Scores | None = None, **more: Any) -> None:
    spectra = some_spectra(2)
    write_scores(path, spectra, scores or some_scores(spectra), some_model(), **more)


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    output = tmp_path / "o.fits"
    output.write_text("precious")
    with pytest.raises(InputError, match=r"o\.fits exists; choose another name or overwrite it"):
        write_some(output)
    assert output.read_text() == "precious"
    write_some(output, overwrite=True)
    assert len(read_table(output)) == 2
    assert list(tmp_path.iterdir()) == [output]


def test_a_table_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "o.fits").mkdir()
    with pytest.raises(InputError, match=r"o\.fits is a folder; name a file"):
        write_some(tmp_path / "o.fits", overwrite=True)
    with pytest.raises(InputError, match="does not exist; make it first"):
        write_some(tmp_path / "absent" / "o.fits")
    assert list(tmp_path.iterdir()) == [tmp_path / "o.fits"]


def test_scores_of_other_spectra_are_refused(tmp_path: Path) -> None:
    for other in (some_spectra(2, first=2), some_spectra(3)):
        with pytest.raises(InputError, match="their TARGETIDs differ"):
            write_some(tmp_path / "o.fits", some_scores(other))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"version": "20260202"}, {"sha256": "cd" * 32}])
def test_scores_of_another_model_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    spectra = some_spectra(2)
    model = dataclasses.replace(some_model(), **change)
    with pytest.raises(ModelChanged, match="the service changed its model from outcrop"):
        write_scores(tmp_path / "o.fits", spectra, some_scores(spectra), model)
    assert list(tmp_path.iterdir()) == []


def test_reconstructions_of_another_length_are_refused(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), wave=np.arange(9.0))
    with pytest.raises(InputError, match=f"reconstructions have {BINS} bins, model outcrop"):
        write_scores(tmp_path / "o.fits", spectra, some_scores(spectra, True), model)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_fits_cannot_hold_is_refused(tmp_path: Path) -> None:
    spectra = some_spectra(1)
    model = dataclasses.replace(some_model(), name="αβγ")
    scores = some_scores(spectra, model=model.identity)
    with pytest.raises(InputError, match="cannot be named in a FITS header"):
        write_scores(tmp_path / "o.fits", spectra, scores, model)
    assert list(tmp_path.iterdir()) == []
