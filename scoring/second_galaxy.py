"""Second galaxy: whether a residual has the features of a galaxy at another redshift.

Two galaxies in one fiber leave a residual in which many weak lines of the second one stand, none of
which is significant by itself. Their pattern is known: lines and breaks of galaxies are mostly
sums of two features with positive amplitudes, one of young galaxies and one of old ones. Both are
fitted to the residual at every redshift of a second galaxy, as redshifts are measured by
cross-correlation (Tonry & Davis 1979).
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .residual import ANY_ORDER

FARTHEST = 0.5
"""The largest redshift of a second galaxy."""
# Features at nearly the same redshift are the spectrum's own, which the networks know.
_OWN = 0.012
_LARGEST = float(np.finfo(np.float32).max)


@njit(cache=True, nogil=True, fastmath=ANY_ORDER, error_model="numpy")
def _sums(
    values: NDArray[np.float32], edges: NDArray[np.int64], total: NDArray[np.float32]
) -> None:
    for k in range(len(total)):
        one = np.float32(0)
        for j in range(edges[k], edges[k + 1]):
            one += values[j]
        total[k] = one


@njit(cache=True, nogil=True, fastmath=ANY_ORDER, error_model="numpy")
def _products(
    residual: NDArray[np.float32],
    weight: NDArray[np.float32],
    young: NDArray[np.float32],
    old: NDArray[np.float32],
) -> tuple[float, float, float, float, float]:
    """Return the products of both features with a residual, with themselves and each other."""
    along_young = along_old = young_young = old_old = young_old = np.float32(0)
    for j in range(len(residual)):
        weighted_young, weighted_old = weight[j] * young[j], weight[j] * old[j]
        along_young += residual[j] * young[j]
        along_old += residual[j] * old[j]
        young_young += weighted_young * young[j]
        old_old += weighted_old * old[j]
        young_old += weighted_young * old[j]
    # Products of these may be too large or too small for float32.
    return (
        np.float64(along_young),
        np.float64(along_old),
        np.float64(young_young),
        np.float64(old_old),
        np.float64(young_old),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _fall(
    along_young: float, along_old: float, young_young: float, old_old: float, young_old: float
) -> float:
    """Return by how much χ² falls with two features of positive amplitudes."""
    both = young_young * old_old - young_old * young_old
    young = along_young * old_old - along_old * young_old
    old = along_old * young_young - along_young * young_old
    if young > 0.0 and old > 0.0 and both > 1e-3 * young_young * old_old:
        return (along_young * young + along_old * old) / both

    one = 0.0
    if along_young > 0.0 and young_young > 0.0:
        one = along_young * along_young / young_young
    if along_old > 0.0 and old_old > 0.0:
        one = max(one, along_old * along_old / old_old)
    return one


@njit(cache=True, nogil=True, error_model="numpy")
def _second_galaxy(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    z: NDArray[np.float64],
    edges: NDArray[np.int64],
    features: NDArray[np.float32],
    step: float,
) -> NDArray[np.float32]:
    rows, size = len(flux), features.shape[1]
    own = _OWN / step
    residual, weight = np.empty(size, np.float32), np.empty(size, np.float32)
    found = np.empty(rows, np.float32)
    for row in range(rows):
        # Onto the grid of the features, whose pixels have equal widths in log wavelength.
        _sums(ivar[row] * (flux[row] - reconstruction[row]), edges, residual)
        _sums(ivar[row], edges, weight)

        # A shift by whole pixels for each redshift between 0 and the farthest, as long as the
        # shifted features and the spectrum overlap.
        stretch = math.log(1.0 + z[row]) / step
        nearest = max(math.floor(-stretch), 1 - size)
        farthest = min(math.ceil(math.log(1.0 + FARTHEST) / step - stretch), size - 1)
        best = 0.0
        for shift in range(nearest, farthest + 1):
            if abs(shift) >= own:
                first, end = max(shift, 0), min(size + shift, size)
                products = _products(
                    residual[first:end],
                    weight[first:end],
                    features[0, first - shift : end - shift],
                    features[1, first - shift : end - shift],
                )
                best = max(best, _fall(*products))
        found[row] = min(best, _LARGEST)
    return found


def second_galaxy(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    z: NDArray[np.float64],
    wave: NDArray[np.float64],
    features: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return how well the features of a second galaxy fit a residual.

    Parameters
    ----------
    flux, ivar, reconstruction : (N, M) float32
        Normalised; bins with ivar = 0 do not count.
    z : (N,) float64
    wave : (M,) float64
        Centres of the rest-frame bins, Å.
    features : (2, P) float32
        Of young and of old galaxies, on `feature_wave`.

    Returns
    -------
    (N,) float32
        The largest fall of χ² with both features, their amplitudes positive, at any redshift from
        0 to 0.5 that is not the spectrum's own; larger is more anomalous. Noise alone gives about
        9.
    """
    size = features.shape[1]
    grid = np.log(feature_wave(wave, size))
    step = float(grid[1] - grid[0])
    # The first bin of each pixel, and the number of bins at the end.
    edges = np.searchsorted(np.log(wave), grid[0] + (np.arange(size + 1) - 0.5) * step)
    return _second_galaxy(flux, ivar, reconstruction, z, edges, features, step)


def feature_wave(wave: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return the pixels (size,) of features, Å: the range of the bins in equal ratios."""
    return np.geomspace(wave[0], wave[-1], size)
