"""Bands of a file are read whole or row by row, and only on DESI's grid."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from outcrop._bands import read_bands
from outcrop._fits import FitsFile
from outcrop.errors import InputError
from tests.outcrop_sdk.test_exposures import write_spectra


@pytest.mark.parametrize("chosen", [[], [4], [5, 0, 3]])
def test_rows_are_those_of_the_whole_in_the_wanted_order(tmp_path: Path, chosen: list[int]) -> None:
    with FitsFile(write_spectra(tmp_path / "spectra.fits")) as file:
        whole = read_bands(file, 6)
        some = read_bands(file, 6, np.array(chosen, np.intp))
    assert list(some) == ["b", "r", "z"]
    for name, band in some.items():
        np.testing.assert_array_equal(band.flux, whole[name].flux[chosen])
        np.testing.assert_array_equal(band.ivar, whole[name].ivar[chosen])
        np.testing.assert_array_equal(band.mask, whole[name].mask[chosen])  # type: ignore[index]


def test_images_need_a_row_for_each_of_the_fibermap(tmp_path: Path) -> None:
    with (
        FitsFile(write_spectra(tmp_path / "spectra.fits")) as file,
        pytest.raises(InputError, match=r"B_FLUX has shape \(6, 2751\); expected \(7, 2751\)"),
    ):
        read_bands(file, 7)


def test_a_file_without_spectra_is_refused(tmp_path: Path) -> None:
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with (
        FitsFile(tmp_path / "empty.fits") as file,
        pytest.raises(InputError, match="has no spectra: no HDU B_FLUX"),
    ):
        read_bands(file, 1)
