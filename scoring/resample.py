"""Resample: one observed-frame spectrum to rest-frame bins, conserving the integral.

Pixel k of the observed grid covers 0.8 Å around its centre; divided by 1 + z it covers part of
one or more rest-frame bins. A bin's flux is the mean of the pixels in it, weighted with the
overlap f_k, and its variance is Σ(f_k σ_k)² / (Σ f_k)² over the good pixels; covariances between
neighbouring bins are ignored (Nicolaou et al. 2025, Section 4). Pixels without information are
first filled linearly from their neighbours; a bin with less than half its width on good pixels
is bad and gets ivar = 0.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_store.grid import RestGrid
from outcrop.spectra import STEP, WAVE

_FIRST_EDGE = WAVE["brz"][0] - STEP / 2
_LARGEST = float(np.finfo(np.float32).max)
_ZERO = np.float32(0)
_ONE = np.float32(1)
_NEXT = np.uint64(1)


@njit(cache=True, nogil=True)
def fill_row(flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> bool:
    """Interpolate flux linearly over pixels with ivar = 0; constant beyond the outermost good.

    Return whether there is any good pixel.
    """
    pixels = len(flux)
    k = 0
    while k < pixels:
        if ivar[k] > _ZERO:
            k += 1
            continue

        # The gap is from `first` to before `k`.
        first = k
        while k < pixels and ivar[k] <= _ZERO:
            k += 1

        if first == 0 and k == pixels:
            return False
        if first == 0:
            flux[:k] = flux[k]
        elif k == pixels:
            flux[first:] = flux[first - 1]
        else:
            before = np.float64(flux[first - 1])
            slope = (flux[k] - before) / (k - first + 1)
            for i in range(first, k):
                flux[i] = before + slope * (i - first + 1)
    return True


# With numpy's error model a division needs no branch, so that the loop is vectorised.
@njit(cache=True, nogil=True, error_model="numpy")
def _invert(ivar: NDArray[np.float32], variance: NDArray[np.float32]) -> None:
    for k in range(len(ivar)):
        variance[k] = _ONE / ivar[k] if ivar[k] > _ZERO else _ZERO


@njit(cache=True, nogil=True, error_model="numpy")
def resample_row(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    z: float,
    edges: NDArray[np.float64],
    variance: NDArray[np.float32],
    bin_flux: NDArray[np.float32],
    bin_ivar: NDArray[np.float32],
) -> None:
    """Fill bin_flux, bin_ivar (M,) from filled pixels flux, ivar (P,) at redshift z.

    variance (P,) is scratch space.
    """
    pixels = np.float64(len(flux))
    scale = (1.0 + z) / STEP
    shift = _FIRST_EDGE / STEP
    # Bin edges in units of pixels: pixel k covers k to k + 1.
    high = edges[0] * scale - shift
    last_edge = edges[-1] * scale - shift

    # The variance of the pixels that are read. Where the last edge falls on a whole pixel, the
    # pixel that begins there is read too, with weight 0.
    begin = int(min(max(high, 0.0), pixels))
    end = int(min(max(last_edge, 0.0), pixels - 1.0)) + 1
    _invert(ivar[begin:end], variance[begin:end])

    for j in range(len(bin_flux)):
        low = high
        high = edges[j + 1] * scale - shift
        start = max(low, 0.0)
        stop = min(high, pixels)
        if start >= stop:
            bin_flux[j] = _ZERO
            bin_ivar[j] = _ZERO
            continue

        # Sums over the pixels of the bin, the outermost of which it covers in part. The indices
        # are unsigned: numba checks signed ones for being negative.
        first = np.uint64(start)
        last = np.uint64(min(stop, pixels - 1.0))
        left = min(stop, first + 1.0) - start
        right = stop - last if last > first else 0.0
        mean = left * flux[first] + right * flux[last]
        good = left * (variance[first] > _ZERO) + right * (variance[last] > _ZERO)
        total = left * left * variance[first] + right * right * variance[last]
        for k in range(first + _NEXT, last):
            mean += flux[k]
            good += variance[k] > _ZERO
            total += variance[k]

        bin_flux[j] = mean / (stop - start)
        bad = good < 0.5 * (high - low) or total == 0.0
        bin_ivar[j] = 0.0 if bad else min(good * good / total, _LARGEST)


@njit(cache=True, nogil=True)
def _resample(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    z: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows = len(z)
    bin_flux = np.zeros((rows, len(edges) - 1), np.float32)
    bin_ivar = np.zeros((rows, len(edges) - 1), np.float32)
    variance = np.empty(flux.shape[1], np.float32)
    for row in range(rows):
        if z[row] > -1.0 and z[row] < np.inf:
            fill_row(flux[row], ivar[row])
            resample_row(
                flux[row], ivar[row], z[row], edges, variance, bin_flux[row], bin_ivar[row]
            )
    return bin_flux, bin_ivar


def resample(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    z: NDArray[np.float64],
    grid: RestGrid,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bring coadded spectra to the rest frame.

    Parameters
    ----------
    flux, ivar : (N, 7781) float32
        Observed frame, as `scoring.coadd.coadd` returns them.
    z : (N,) float64
    grid : RestGrid

    Returns
    -------
    flux, ivar : (N, M) float32
        Flux density in the input's unit; ivar = 0 marks bad bins. Both are 0 throughout where z
        is not finite or not above −1.
    """
    return _resample(flux.copy(), ivar, z, grid.edges)
