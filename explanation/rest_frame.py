"""Rest frame: one observed spectrum resampled at many redshifts."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scoring.resample import resample_row


@njit(cache=True, nogil=True)
def resample_at(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    z: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return flux, ivar (K, M) in the rest frame at each redshift.

    Parameters
    ----------
    flux, ivar : (7781,) float32
        Observed frame; flux filled where ivar = 0.
    z : (K,) float64
        Above −1.
    edges : (M + 1,) float64
        Of the rest-frame bins, Å.
    """
    bins = len(edges) - 1
    rest_flux = np.zeros((len(z), bins), np.float32)
    rest_ivar = np.zeros((len(z), bins), np.float32)
    variance = np.empty(len(flux), np.float32)
    for k in range(len(z)):
        resample_row(flux, ivar, z[k], edges, variance, rest_flux[k], rest_ivar[k])
    return rest_flux, rest_ivar
