"""Bands of a DESI file: flux, ivar and mask of each camera, on DESI's grid."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ._fits import FitsFile
from .errors import InputError
from .spectra import CAMERAS, WAVE, Band

WAVE_TOLERANCE: Final = 1e-4
"""Å; wavelengths in real files have rounding errors, as 5800.0000000005."""
KINDS: Final = ("WAVELENGTH", "FLUX", "IVAR", "MASK")
"""The last words of the names of their images."""


def read_bands(
    file: FitsFile, rows: int, chosen: NDArray[np.intp] | None = None
) -> dict[str, Band]:
    """Read the spectra of all bands that a file has.

    Parameters
    ----------
    file : FitsFile
    rows : int
        Of its FIBERMAP.
    chosen : (n,) int, optional
        The rows to read, in this order; all by default.

    Raises
    ------
    InputError
        Where there are no spectra, they are damaged or on another grid.
    """
    return {name: _band(file, name, rows, chosen) for name in _band_names(file)}


def _band_names(file: FitsFile) -> list[str]:
    present = {
        band
        for band in ("brz", *CAMERAS)
        if any(f"{band.upper()}_{kind}" in file for kind in KINDS)
    }
    if not present:
        raise InputError(
            f"{file.path} has no spectra: no HDU B_FLUX, R_FLUX, Z_FLUX or BRZ_FLUX; is it a coadd?"
        )
    if "brz" in present and len(present) > 1:
        raise InputError(
            f"{file.path} has both BRZ and single cameras {sorted(present - {'brz'})}; "
            "keep one kind in a file"
        )
    return ["brz"] if "brz" in present else [band for band in CAMERAS if band in present]


def _band(file: FitsFile, band: str, rows: int, chosen: NDArray[np.intp] | None) -> Band:
    prefix = band.upper()
    _check_wave(file, f"{prefix}_WAVELENGTH", WAVE[band])
    flux = file.image(f"{prefix}_FLUX", "f", np.float32, 2, chosen)
    ivar = file.image(f"{prefix}_IVAR", "f", np.float32, 2, chosen)
    mask = None
    if f"{prefix}_MASK" in file:
        mask = file.image(f"{prefix}_MASK", "iu", np.int32, 2, chosen)

    for kind, array in (("FLUX", flux), ("IVAR", ivar), ("MASK", mask)):
        expected = (rows if chosen is None else len(chosen), len(WAVE[band]))
        if array is not None and array.shape != expected:
            raise InputError(
                f"{file.path}: HDU {prefix}_{kind} has shape {array.shape}; expected {expected}, "
                "the rows of FIBERMAP by the pixels of the camera: make the file again"
            )
    return Band(flux, ivar, mask)


def _check_wave(file: FitsFile, name: str, expected: NDArray[np.float64]) -> None:
    wave = file.image(name, "f", np.float64, 1)
    remedy = (
        f"expected {len(expected)} pixels from {expected[0]:g} to {expected[-1]:g} Å in steps of "
        "0.8: other grids need resampling first"
    )
    if len(wave) != len(expected):
        raise InputError(f"{file.path}: HDU {name} has {len(wave)} pixels; {remedy}")
    # Written so that NaN counts as wrong.
    wrong = np.flatnonzero(~(np.abs(wave - expected) <= WAVE_TOLERANCE))
    if len(wrong):
        raise InputError(
            f"{file.path}: HDU {name} has {wave[wrong[0]]:.6f} Å at pixel {wrong[0]}; {remedy}"
        )
