"""Residual: scores of the difference between a spectrum and its reconstruction.

The weighted mean squared error averages over all bins, so that a strong residual in a few bins, or
a weak one over many neighbouring bins, is lost in the noise of the rest. The boxcar significance
measures those: the largest mean residual in a window of neighbouring bins, in units of its noise.
Many weak residuals, such as the lines of a second galaxy, show in the boxcar power: the mean square
of the significance of all windows. The camera offset measures what all bins of a camera share.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from outcrop.spectra import MIDDLES

WIDTHS = (4, 16, 64)
"""Bins of a window: for lines and cosmic rays, for broad lines and bad sky subtraction, and for
large parts of a camera."""

# A camera's flux is uncertain by about this much even where the noise is small.
_OFFSET_ERROR = 0.01
# Share of a template's square beyond the axes. With less, the networks reproduce the offset.
_LEAST_LEFT = 1e-4

_LARGEST = float(np.finfo(np.float32).max)

ANY_ORDER = {"reassoc", "contract", "nsz"}
"""For numba: sums may be taken in any order, so that several terms are added at once."""


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def weighted_mse(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], reconstruction: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return Eq. 6 of Nicolaou et al. 2025, (N,) float32, for three (N, M) arrays.

    The mean is over all M bins; bad bins have weight 0. Larger is more anomalous; noise alone gives
    1 times the coverage.
    """
    rows, bins = flux.shape
    wmse = np.empty(rows, np.float32)
    for row in range(rows):
        total = 0.0
        for j in range(bins):
            difference = np.float64(flux[row, j]) - np.float64(reconstruction[row, j])
            total += ivar[row, j] * difference * difference
        wmse[row] = min(total / bins, _LARGEST)
    return wmse


@njit(cache=True, nogil=True, error_model="numpy")
def _boxcar_scores(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    widths: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, bins = flux.shape
    largest = np.zeros((rows, len(widths)), np.float32)
    power = np.zeros((rows, len(widths)), np.float32)
    residual = np.zeros(bins + 1)
    good = np.zeros(bins + 1)
    for row in range(rows):
        for j in range(bins):
            difference = np.float64(flux[row, j]) - np.float64(reconstruction[row, j])
            residual[j + 1] = difference * np.sqrt(np.float64(ivar[row, j]))
            good[j + 1] = ivar[row, j] > 0.0

        # Cumulative sums: those of a window are the difference of two of them.
        for j in range(bins):
            residual[j + 1] += residual[j]
            good[j + 1] += good[j]

        for i in range(len(widths)):
            width = min(widths[i], bins)
            square, mean = _squares(
                residual[:-width], residual[width:], good[:-width], good[width:], width
            )
            largest[row, i] = min(np.sqrt(square), _LARGEST)
            power[row, i] = min(mean, _LARGEST)
    return largest, power


@njit(cache=True, nogil=True, error_model="numpy")
def _squares(
    residual_before: NDArray[np.float64],
    residual_after: NDArray[np.float64],
    good_before: NDArray[np.float64],
    good_after: NDArray[np.float64],
    width: int,
) -> tuple[float, float]:
    """Return the largest and the mean squared significance of all windows of one width."""
    squares = np.empty(len(good_after))
    for j in range(len(squares)):
        total = residual_after[j] - residual_before[j]
        # A window without a good bin has a total of 0.
        squares[j] = total * total / max(good_after[j] - good_before[j], 1.0)

    # Windows at every half of their width hold what those between them do.
    total, count = 0.0, 0
    for j in range(0, len(squares), max(width // 2, 1)):
        if good_after[j] > good_before[j]:
            total += squares[j]
            count += 1
    return _largest(squares), total / max(count, 1)


@njit(cache=True, nogil=True)
def _largest(squares: NDArray[np.float64]) -> float:
    """Return the largest; four at a time, because each comparison waits for the one before."""
    a = b = c = d = 0.0
    fours = len(squares) // 4 * 4
    for j in range(0, fours, 4):
        a = max(a, squares[j])
        b = max(b, squares[j + 1])
        c = max(c, squares[j + 2])
        d = max(d, squares[j + 3])
    for j in range(fours, len(squares)):
        a = max(a, squares[j])
    return max(max(a, b), max(c, d))


def boxcar_scores(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], reconstruction: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return boxcar significance and boxcar power, for each of `WIDTHS`.

    Parameters
    ----------
    flux, ivar, reconstruction : (N, M) float32
        Normalised; bins with ivar = 0 do not count.

    Returns
    -------
    significance : (N, 3) float32
        |Σ (x − x̂) √ivar| / √n over the n good bins of a window, the largest of all windows; larger
        is more anomalous. Noise alone gives about 3 to 4.
    power : (N, 3) float32
        The mean of its square over the windows that have a good bin, each half a window from the
        next; larger is more anomalous. Noise alone gives 1.
    """
    return _boxcar_scores(flux, ivar, reconstruction, WIDTHS)


@njit(cache=True, nogil=True, fastmath=ANY_ORDER, error_model="numpy")
def _beyond_axes(
    template: NDArray[np.float32], axes: NDArray[np.float32], first: int, end: int
) -> float:
    """Take off a template (M,), which is 0 outside first:end, its parts along axes (K, M).

    Returns the share of its square that is left.
    """
    whole, taken = 0.0, 0.0
    for j in range(first, end):
        whole += np.float64(template[j] * template[j])

    along = np.empty(len(axes), np.float32)
    for k in range(len(axes)):
        axis, inside = axes[k, first:end], template[first:end]
        product = np.float32(0)
        for j in range(len(inside)):
            product += axis[j] * inside[j]
        along[k] = product
        taken += np.float64(product * product)

    for k in range(len(axes)):
        axis, part = axes[k], along[k]
        for j in range(len(template)):
            template[j] -= part * axis[j]
    return 1.0 - taken / whole if whole > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _camera_offset(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    z: NDArray[np.float64],
    wave: NDArray[np.float64],
    axes: NDArray[np.float32],
    joins: tuple[float, float],
    error: float,
) -> NDArray[np.float32]:
    rows, bins = flux.shape
    largest = np.zeros(rows, np.float32)
    template = np.empty(bins, np.float32)
    for row in range(rows):
        first = 0
        for camera in range(3):
            # The camera's last bin is the one before the join, in the rest frame.
            end = bins
            if camera < 2:
                end = np.searchsorted(wave, joins[camera] / (1.0 + z[row]))
            template[:] = 0
            template[first:end] = reconstruction[row, first:end]
            left = _beyond_axes(template, axes, first, end)
            first = end

            product, square = _products(flux[row], ivar[row], reconstruction[row], template)
            if left > _LEAST_LEFT and square > 0.0:
                offset = abs(product / square) / np.sqrt(1.0 / square + error * error)
                largest[row] = min(max(largest[row], offset), _LARGEST)
    return largest


@njit(cache=True, nogil=True, fastmath=ANY_ORDER, error_model="numpy")
def _products(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    template: NDArray[np.float32],
) -> tuple[float, float]:
    """Return the weighted products of a template with the residual and with itself."""
    product = 0.0
    square = 0.0
    for j in range(len(flux)):
        weighted = np.float64(ivar[j] * template[j])
        product += weighted * (flux[j] - reconstruction[j])
        square += weighted * template[j]
    return product, square


def camera_offset(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
    z: NDArray[np.float64],
    wave: NDArray[np.float64],
    axes: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the significance of the largest offset of a camera from the reconstruction.

    The networks reproduce a part of an offset: what is like a galaxy of another colour. Only the
    rest, beyond the axes of galaxies, can be seen in the residual, and is fitted to it.

    Parameters
    ----------
    flux, ivar, reconstruction : (N, M) float32
        Normalised; bins with ivar = 0 do not count.
    z : (N,) float64
    wave : (M,) float64
        Centres of the rest-frame bins, Å.
    axes : (M, K) float32
        Orthonormal columns, as in `scoring.galaxy_shapes.GalaxyShapes`.

    Returns
    -------
    (N,) float32
        |a| / √(σ_a² + 0.01²) of the factor 1 + a of a camera, the largest of the three; larger is
        more anomalous. Noise alone gives about 1.
    """
    along = np.ascontiguousarray(axes.T)
    return _camera_offset(flux, ivar, reconstruction, z, wave, along, MIDDLES, _OFFSET_ERROR)
