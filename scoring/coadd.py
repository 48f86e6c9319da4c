"""Coadd: the cameras b, r and z of one spectrum on one observed-frame grid.

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

# In DESI's unit the night sky itself is below 1e4. Beyond this, squares leave float64's comfort.
_LARGEST_FLUX = 1e30

_NO_MASK = np.zeros((0, 0), np.bool_)
_NO_BAND = np.zeros((0, 0), np.float32)

Camera = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], int]
Cameras = tuple[Camera, Camera, Camera]


def camera_arrays(spectra: Spectra) -> Cameras:
    """Return flux, ivar, mask and offset of three bands; absent bands and masks are empty.

    A fixed number of entries of fixed types lets one compiled kernel serve every layout.
    """
    found: list[Camera] = [
        (
            np.ascontiguousarray(band.flux),
            np.ascontiguousarray(band.ivar),
            _NO_MASK if band.mask is None else np.ascontiguousarray(band.mask != 0),
            OFFSET[name],
        )
        for name, band in spectra.bands.items()
    ]
    found += [(_NO_BAND, _NO_BAND, _NO_MASK, 0)] * (3 - len(found))
    return found[0], found[1], found[2]


@njit(cache=True, nogil=True)
def _add_camera(
    row: int,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    mask: NDArray[np.bool_],
    offset: int,
    weighted: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> bool:
    bad = False
    for k in range(flux.shape[1]):
        if mask.size and mask[row, k]:
            continue
        f = np.float64(flux[row, k])
        w = np.float64(ivar[row, k])
        # The comparisons are false for NaN, so this line also refuses NaN and infinities.
        if not (abs(f) < _LARGEST_FLUX and 0.0 <= w < np.inf):
            bad = True
        elif f != 0.0:
            weighted[offset + k] += f * w
            weight[offset + k] += w
    return bad


@njit(cache=True, nogil=True)
def coadd_row(
    row: int,
    cameras: Cameras,
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
) -> bool:
    """Coadd spectrum `row` into flux, ivar (7781,) float64; return whether it had bad pixels."""
    flux[:] = 0.0
    ivar[:] = 0.0
    bad = False
    for camera in cameras:
        if camera[0].size and _add_camera(row, *camera, flux, ivar):
            bad = True
    for k in range(len(flux)):
        if ivar[k] > 0.0:
            flux[k] /= ivar[k]
        else:
            flux[k] = 0.0
    return bad


@njit(cache=True, nogil=True)
def _coadd(
    rows: int, cameras: Cameras
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    flux = np.empty((rows, PIXELS))
    ivar = np.empty((rows, PIXELS))
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
    return flux.astype(np.float32), ivar.astype(np.float32), status
