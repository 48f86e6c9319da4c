"""redrock's next best redshifts are read from the file of all its fits, or not at all."""

import gzip
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from outcrop import Spectra, read_spectra
from outcrop.redrock_details import details_of, read_candidates
from outcrop.spectra import CANDIDATES
from outcrop.wire import HEADER_LENGTH, decode_request, encode_request
from tests.outcrop_sdk.sample import some_spectra, write_coadd, write_redrock

IDS = [39633345008634465, 11, -7008279]
# As redrock.results.write_zscan writes them, redrock 0.22.
FIT = np.dtype(
    [
        ("targetid", "i8"), ("z", "f8"), ("zerr", "f8"), ("zwarn", "i8"), ("chi2", "f8"),
        ("zz", "f8", (15,)), ("zzchi2", "f8", (15,)), ("coeff", "f8", (10,)), ("npixels", "i8"),
        ("spectype", "S6"), ("subtype", "S20"), ("ncoeff", "i8"), ("znum", "i8"),
        ("deltachi2", "f8"), ("fitmethod", "S4"),
    ]
)  # fmt: skip


def write_details(path: Path, fits: Mapping[int, Sequence[float]], reverse: bool = False) -> Path:
    """Write the redshifts of each target, the best first; rows in the reverse order if asked."""
    with h5py.File(path, "w") as file:
        file["targetids"] = np.array(list(fits), np.int64)
        file["zscan/GALAXY/redshifts"] = np.linspace(0, 1.7, 7)
        for targetid, redshifts in fits.items():
            rows = np.zeros(len(redshifts), FIT)
            rows["targetid"], rows["z"] = targetid, redshifts
            rows["znum"] = np.arange(len(redshifts))
            file[f"zfit/{targetid}/zfit"] = rows[::-1] if reverse else rows
    return path


@pytest.mark.parametrize("reverse", [False, True])
def test_the_next_best_come_in_their_order(tmp_path: Path, reverse: bool) -> None:
    fits = {IDS[0]: [0.1, 0.7, 0.2], IDS[1]: [1.0], IDS[2]: list(np.linspace(0, 1, 14))}
    path = write_details(tmp_path / "rrdetails-1.h5", fits, reverse)
    found = read_candidates(path, np.array([IDS[2], 5, IDS[0], IDS[1]]))
    assert found is not None
    assert (found.shape, found.dtype) == ((4, CANDIDATES), np.dtype(np.float64))
    np.testing.assert_allclose(found[0], np.linspace(0, 1, 14)[1:10])
    assert np.isnan(found[[1, 3]]).all()
    assert found[2, :2].tolist() == [0.7, 0.2]
    assert np.isnan(found[2, 2:]).all()


def test_redshifts_that_are_no_number_are_left_out(tmp_path: Path) -> None:
    path = write_details(tmp_path / "rrdetails-1.h5", {1: [0.1, np.nan, 0.3]})
    found = read_candidates(path, np.array([1]))
    assert found is not None
    assert found[0, 0] == 0.3
    assert np.isnan(found[0, 1:]).all()


def test_the_file_beside_redrocks_is_found(tmp_path: Path) -> None:
    assert details_of(tmp_path / "redrock-4-80613-thru20210324.fits") is None
    details = tmp_path / "rrdetails-4-80613-thru20210324.h5"
    details.touch()
    for name in ("redrock-4-80613-thru20210324.fits", "redrock-4-80613-thru20210324.fits.gz"):
        assert details_of(tmp_path / name) == details
    for name in ("redrock-4.fits", "zbest-4-80613-thru20210324.fits"):
        assert details_of(tmp_path / name) is None


def read(folder: Path, packed: bool = False) -> Spectra:
    coadd, redrock = write_coadd(folder / "coadd-1.fits", IDS), folder / "redrock-1.fits"
    write_redrock(redrock, [IDS[2], IDS[0], IDS[1]])
    if packed:
        (folder / "redrock-1.fits.gz").write_bytes(gzip.compress(redrock.read_bytes()))
        redrock = folder / "redrock-1.fits.gz"
    return read_spectra(coadd, redrock)


@pytest.mark.parametrize("packed", [False, True])
def test_spectra_have_them_in_redrocks_order(tmp_path: Path, packed: bool) -> None:
    write_details(tmp_path / "rrdetails-1.h5", {IDS[0]: [0.1, 0.7], IDS[2]: [0.2, 0.5, 0.6]})
    spectra = read(tmp_path, packed)
    assert spectra.z_candidates is not None
    assert spectra.z_candidates[:, 0].tolist()[:2] == [0.5, 0.7]
    assert np.isnan(spectra.z_candidates[2]).all()

    chosen = spectra[[1, 0]].z_candidates
    assert chosen is not None
    np.testing.assert_array_equal(chosen, spectra.z_candidates[[1, 0]])
    assert "z_candidates" not in spectra._repr_html_()


def test_spectra_without_the_file_have_none(tmp_path: Path) -> None:
    assert read(tmp_path).z_candidates is None


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_a_file_that_cannot_be_read_is_a_warning(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rrdetails-1.h5"
    if content is None:
        with h5py.File(path, "w") as file:
            file["other"] = 1
    else:
        path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path).z_candidates is None
    assert "no rrdetails file of redrock" in caplog.text


def test_a_table_of_another_kind_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rrdetails-1.h5"
    with h5py.File(path, "w") as file:
        file[f"zfit/{IDS[0]}/zfit"] = np.arange(5.0)
    with caplog.at_level(logging.WARNING):
        assert read_candidates(path, np.array(IDS)) is None
    assert "no rrdetails file of redrock" in caplog.text


def test_without_h5py_there_is_a_warning_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_details(tmp_path / "rrdetails-1.h5", {IDS[0]: [0.1, 0.7]})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path).z_candidates is None
    assert "install h5py" in caplog.text


def test_they_are_sent_and_received() -> None:
    candidates = np.full((3, CANDIDATES), np.nan)
    candidates[1, :2] = 0.7, 1.4
    headers, body = encode_request(replace(some_spectra(3), z_candidates=candidates))
    received = decode_request(body, int(headers[HEADER_LENGTH])).spectra.z_candidates
    assert received is not None
    np.testing.assert_array_equal(received, candidates)


def test_they_have_nine_columns() -> None:
    with pytest.raises(ValueError, match=r"z_candidates has shape \(3, 2\); expected \(3, 9\)"):
        replace(some_spectra(3), z_candidates=np.zeros((3, 2)))
