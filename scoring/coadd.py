"""Coadd: the cameras b, r and z of a spectrum combined on one observed-frame grid.

The cameras' pixels coincide where they overlap (5760-5800 and 7520-7620 Å), so the coadd is an
inverse-variance weighted mean without any resampling, as desispec's `coadd_cameras` makes it.
A pixel is bad, and gets ivar = 0, where mask != 0, flux or ivar is not finite, ivar < 0, or flux
is exactly 0 (Nicolaou et al. 2025, Section 4).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from outcrop import Spectra, Status
from outcrop.spectra import STEP, WAVE

PIXELS = len(WAVE["brz"])
OFFSET = {name: round((wave[0] - WAVE["brz"][0]) / STEP) for name, wave in WAVE.items()}
"""First pixel of each band on the common grid."""

# In DESI's unit the night sky is below 1e4. The square of a larger flux overflows.
_LARGEST_FLUX = np.float32(1e30)
_LARGEST_IVAR = np.finfo(np.float32).max
# The reciprocal of a smaller one would not be finite.
_SMALLEST_IVAR = np.finfo(np.float32).tiny
_ZERO = np.float32(0)

# One row that is used for every spectrum.
_NO_MASK = np.zeros((1, PIXELS), np.int32)
_NO_BAND = np.zeros((0, 0), np.float32)

Camera = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], int]
Cameras = tuple[Camera, Camera, Camera]


def camera_arrays(spectra: Spectra) -> Cameras:
    """Return flux, ivar, mask and first pixel of three bands; absent bands are empty.

    A fixed number of entries of fixed types lets one compiled kernel serve every layout.
    """
    found: list[Camera] = [
        (
            np.ascontiguousarray(band.flux),
            np.ascontiguousarray(band.ivar),
            _NO_MASK if band.mask is None else _as_int32(band.mask),
            OFFSET[name],
        )
        for name, band in spectra.bands.items()
    ]
    found += [(_NO_BAND, _NO_BAND, _NO_MASK, 0)] * (3 - len(found))
    return found[0], found[1], found[2]


def _as_int32(mask: NDArray[np.integer | np.bool_]) -> NDArray[np.int32]:
    """Return an array that is 0 where the mask is; DESI's own needs no copy."""
    if mask.dtype in (np.int32, np.uint32):
        return np.ascontiguousarray(mask).view(np.int32)
    return (mask != 0).astype(np.int32)


@njit(cache=True, nogil=True)
def _copy(
    from_flux: NDArray[np.float32],
    from_ivar: NDArray[np.float32],
    mask: NDArray[np.int32],
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
) -> int:
    """Copy good pixels, write 0 for others; return how many are bad though no mask says so."""
    bad = 0
    # No branch, so that the loop is vectorised. Comparisons with NaN are false.
    for k in range(len(from_flux)):
        f = from_flux[k]
        w = from_ivar[k]
        usable = (abs(f) < _LARGEST_FLUX) & (w >= _ZERO) & (w <= _LARGEST_IVAR)
        free = mask[k] == 0
        bad += (not usable) & free
        good = usable & free & (f != _ZERO) & (w >= _SMALLEST_IVAR)
        flux[k] = f if good else _ZERO
        ivar[k] = w if good else _ZERO
    return bad


@njit(cache=True, nogil=True, error_model="numpy")
def _average(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    other_flux: NDArray[np.float32],
    other_ivar: NDArray[np.float32],
) -> None:
    """Replace flux and ivar by the weighted mean with another camera's and by its weight."""
    for k in range(len(flux)):
        weight = np.float64(ivar[k])
        other = np.float64(other_ivar[k])
        if other > 0.0:
            flux[k] = (weight * flux[k] + other * other_flux[k]) / (weight + other)
            ivar[k] = min(weight + other, np.float64(_LARGEST_IVAR))


@njit(cache=True, nogil=True)
def coadd_row(
    row: int,
    cameras: Cameras,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
) -> bool:
    """Coadd spectrum `row` into flux, ivar (7781,); return whether it had bad pixels."""
    bad = 0
    written = 0
    for band_flux, band_ivar, masks, first in cameras:
        if band_flux.size == 0:
            continue

        # Pixels between this camera and the previous one.
        last = first + band_flux.shape[1]
        flux[written:first] = _ZERO
        ivar[written:first] = _ZERO

        # Pixels shared with the previous camera are averaged.
        shared = max(written, first)
        before = flux[first:shared].copy(), ivar[first:shared].copy()
        mask = masks[min(row, len(masks) - 1)]
        bad += _copy(band_flux[row], band_ivar[row], mask, flux[first:last], ivar[first:last])
        _average(flux[first:shared], ivar[first:shared], before[0], before[1])
        written = last

    flux[written:] = _ZERO
    ivar[written:] = _ZERO
    return bad > 0


@njit(cache=True, nogil=True)
def _coadd(
    rows: int, cameras: Cameras
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    flux = np.empty((rows, PIXELS), np.float32)
    ivar = np.empty((rows, PIXELS), np.float32)
    bad = np.zeros(rows, np.bool_)
    for row in range(rows):
        bad[row] = coadd_row(row, cameras, flux[row], ivar[row])
    return flux, ivar, bad


def coadd(
    spectra: Spectra,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """Combine the cameras of N spectra.

    Returns
    -------
    flux, ivar : (N, 7781) float32
        Observed frame, 3600-9824 Å in steps of 0.8 Å; both 0 where no camera has a good pixel.
    status : (N,) int32
        BAD_PIXELS where unmasked pixels were not finite or had ivar < 0.
    """
    flux, ivar, bad = _coadd(len(spectra), camera_arrays(spectra))
    status = np.where(bad, np.int32(Status.BAD_PIXELS), np.int32(0)).astype(np.int32)
    return flux, ivar, status
