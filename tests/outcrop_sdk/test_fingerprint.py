"""Stamps tell a file from a later one under its name."""

import os
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from outcrop import InputError, write_scores
from outcrop.fingerprint import Stamp, stamped
from tests.outcrop_sdk.sample import some_model, some_scores, some_spectra


def written(tmp_path: Path, *inputs: Stamp) -> Any:
    """The header of a score table of these inputs."""
    spectra = some_spectra(2)
    path = tmp_path / "o.fits"
    write_scores(path, spectra, some_scores(spectra), some_model(), True, inputs)
    return fits.getheader(path, "OUTLIERS")


def test_a_table_keeps_the_stamps_of_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "coadd-1.fits").write_text("one")
    os.utime(tmp_path / "coadd-1.fits", ns=(1, 1616500000123456789))
    stamp = Stamp.of(tmp_path / "coadd-1.fits")
    assert stamp == Stamp("coadd-1.fits", 3, 1616500000123456789)
    header = written(tmp_path, stamp)
    assert stamped(header, [stamp])
    assert header["INFIL000"] == "coadd-1.fits"


@pytest.mark.parametrize(
    "other",
    [
        Stamp("coadd-2.fits", 3, 1616500000123456789),
        Stamp("coadd-1.fits", 4, 1616500000123456789),
        Stamp("coadd-1.fits", 3, 1616500000123456788),
        Stamp("coadd-1.fits", 3, 1616500000123456790),
    ],
)
def test_another_name_size_or_time_is_another_file(tmp_path: Path, other: Stamp) -> None:
    header = written(tmp_path, Stamp("coadd-1.fits", 3, 1616500000123456789))
    assert not stamped(header, [other])


def test_a_table_without_stamps_has_those_of_no_file(tmp_path: Path) -> None:
    assert not stamped(written(tmp_path), [Stamp("coadd-1.fits", 3, 1)])


def test_long_names_are_kept_whole(tmp_path: Path) -> None:
    stamp = Stamp(f"coadd-{'x' * 120}.fits", 3, 1)
    assert stamped(written(tmp_path, stamp), [stamp])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.fits cannot be looked at: No such file"):
        Stamp.of(tmp_path / "absent.fits")
