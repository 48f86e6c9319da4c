"""Fingerprints distinguish a file from a later one of the same name."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from outcrop import InputError, write_scores
from outcrop.fingerprint import FileFingerprint, has_fingerprints
from outcrop.inputs import Inputs
from tests.outcrop_sdk.sample import read_header, some_model, some_scores, some_spectra


def header_of_table(tmp_path: Path, *inputs: FileFingerprint) -> Any:
    """The primary header of a score table of these inputs."""
    spectra = some_spectra(2)
    path = tmp_path / "o.fits"
    spectra = dataclasses.replace(spectra, inputs=Inputs(inputs))
    write_scores(path, spectra, some_scores(spectra), some_model(), overwrite=True)
    return read_header(path, "PRIMARY")


def test_a_table_keeps_the_fingerprints_of_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "coadd-1.fits").write_text("one")
    os.utime(tmp_path / "coadd-1.fits", ns=(1, 1616500000123456789))
    fingerprint = FileFingerprint.of(tmp_path / "coadd-1.fits")
    assert fingerprint == FileFingerprint("coadd-1.fits", 3, 1616500000123456789)
    header = header_of_table(tmp_path, fingerprint)
    assert has_fingerprints(header, [fingerprint])
    assert header["INFIL000"] == "coadd-1.fits"


@pytest.mark.parametrize(
    "other",
    [
        FileFingerprint("coadd-2.fits", 3, 1616500000123456789),
        FileFingerprint("coadd-1.fits", 4, 1616500000123456789),
        FileFingerprint("coadd-1.fits", 3, 1616500000123456788),
        FileFingerprint("coadd-1.fits", 3, 1616500000123456790),
    ],
)
def test_another_name_size_or_time_is_another_file(tmp_path: Path, other: FileFingerprint) -> None:
    header = header_of_table(tmp_path, FileFingerprint("coadd-1.fits", 3, 1616500000123456789))
    assert not has_fingerprints(header, [other])


def test_a_table_without_fingerprints_matches_no_file(tmp_path: Path) -> None:
    header = header_of_table(tmp_path)
    assert not has_fingerprints(header, [FileFingerprint("coadd-1.fits", 3, 1)])


def test_long_names_are_kept_in_full(tmp_path: Path) -> None:
    fingerprint = FileFingerprint(f"coadd-{'x' * 120}.fits", 3, 1)
    assert has_fingerprints(header_of_table(tmp_path, fingerprint), [fingerprint])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.fits does not exist; check the name"):
        FileFingerprint.of(tmp_path / "absent.fits")
