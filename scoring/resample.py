"""Resample: one observed-frame spectrum to rest-frame bins, conserving the integral.

Pixel k of the observed grid covers 0.8 Å around its centre; divided by 1 + z it covers part of
one or more rest-frame bins. A bin's flux is the mean of the pixels in it, weighted with the
overlap f_k, and its variance is Σ(f_k σ_k)² / (Σ f_k)² over the good pixels; covariances between
neighbouring bins are ignored (Nicolaou et al. 2025, Section 4). Pixels without information are
first filled linearly from their neighbours; a bin with less than half its width on good pixels
is bad and gets ivar = 0.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from outcrop.spectra import STEP, WAVE

_FIRST_EDGE = WAVE["brz"][0] - STEP / 2


@dataclass(frozen=True)
class RestGrid:
    """Rest-frame bins of equal width.

    Attributes
    ----------
    first, last : float
        Outer edges, vacuum Å.
    bins : int
    """

    first: float = 3600.0
    last: float = 7556.0
    bins: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.first < self.last or self.bins < 1:
            raise ValueError(
                f"rest-frame grid {self.first}-{self.last} Å with {self.bins} bins; "
                "expected 0 < first < last and at least one bin"
            )

    @property
    def edges(self) -> NDArray[np.float64]:
        """(M + 1,) float64: bin edges, vacuum Å."""
        return np.linspace(self.first, self.last, self.bins + 1)

    @property
    def wave(self) -> NDArray[np.float64]:
        """(M,) float64: bin centres, vacuum Å."""
        edges = self.edges
        return (edges[1:] + edges[:-1]) / 2


@njit(cache=True, nogil=True)
def fill_row(flux: NDArray[np.float64], ivar: NDArray[np.float64]) -> None:
    """Interpolate flux linearly over pixels with ivar = 0; constant beyond the outermost good."""
    last = -1
    for k in range(len(flux)):
        if ivar[k] <= 0.0:
            continue
        if last < 0:
            flux[:k] = flux[k]
        elif k > last + 1:
            slope = (flux[k] - flux[last]) / (k - last)
            for i in range(last + 1, k):
                flux[i] = flux[last] + slope * (i - last)
        last = k
    if last >= 0:
        flux[last + 1 :] = flux[last]


@njit(cache=True, nogil=True)
def resample_row(
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
    z: float,
    edges: NDArray[np.float64],
    bin_flux: NDArray[np.float64],
    bin_ivar: NDArray[np.float64],
) -> None:
    """Fill bin_flux, bin_ivar (M,) from filled pixels flux, ivar (P,) at redshift z."""
    pixels = len(flux)
    scale = (1.0 + z) / STEP
    shift = _FIRST_EDGE / STEP
    # Bin edges in units of pixels: pixel k covers k to k + 1.
    high = edges[0] * scale - shift
    for j in range(len(bin_flux)):
        low = high
        high = edges[j + 1] * scale - shift
        start = max(low, 0.0)
        stop = min(high, np.float64(pixels))
        total = 0.0
        good = 0.0
        mean = 0.0
        variance = 0.0
        k = int(start)
        while k < stop:
            overlap = min(stop, k + 1.0) - max(start, np.float64(k))
            total += overlap
            mean += overlap * flux[k]
            if ivar[k] > 0.0:
                good += overlap
                variance += overlap * overlap / ivar[k]
            k += 1
        bin_flux[j] = mean / total if total > 0.0 else 0.0
        bad = good < 0.5 * (high - low) or variance == 0.0
        bin_ivar[j] = 0.0 if bad else good * good / variance


@njit(cache=True, nogil=True)
def _resample(
    flux: NDArray[np.float64],
    ivar: NDArray[np.float64],
    z: NDArray[np.float64],
    edges: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = len(z)
    bin_flux = np.zeros((rows, len(edges) - 1))
    bin_ivar = np.zeros((rows, len(edges) - 1))
    for row in range(rows):
        if z[row] > -1.0 and z[row] < np.inf:
            fill_row(flux[row], ivar[row])
            resample_row(flux[row], ivar[row], z[row], edges, bin_flux[row], bin_ivar[row])
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
    flux, ivar : (N, 7781)
        Observed frame, as `scoring.coadd.coadd` returns them.
    z : (N,) float64
    grid : RestGrid

    Returns
    -------
    flux, ivar : (N, M) float32
        Flux density in the input's unit; ivar = 0 marks bad bins. Both are 0 throughout where z
        is not finite or not above −1.
    """
    pixels = flux.astype(np.float64)
    bin_flux, bin_ivar = _resample(pixels, ivar.astype(np.float64), z, grid.edges)
    return bin_flux.astype(np.float32), bin_ivar.astype(np.float32)
