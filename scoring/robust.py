"""Robust: the reconstruction of a spectrum without the bins that the model cannot explain.

An anomaly bends the latent, and with it the reconstruction of the rest of the spectrum; a strong
line also dominates the norm. Here windows of bins with a large mean residual are left out: they are
filled with the reconstruction, and the spectrum is normalised, encoded and decoded again, several
times. Each round leaves out the most significant windows, down to a share of the largest
significance that falls from round to round. So what bends the reconstruction most goes first, and
bins that only seem anomalous beside it stay.

There are two starts: the plain reconstruction, and a running median, which is there also where a
line has spoilt the plain one entirely. Of all reconstructions the one with the least clipped error
is kept, the plain one included.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .network import OnnxVAE

_WIDTHS = (1, 4, 16, 64, 256)
# 2 % of inliers have such a window, nearly all at S/N above 20; noise alone gives about 4.
_LEAST_SIGNIFICANCE = 8.0
# Share of the largest significance in the first round; its powers in those that follow.
_SHARE = 0.6
_ROUNDS = 6
# A window grows over the bins beside it whose residual has its sign and more than this many σ.
_WING = 1.0
# Share of the good bins that may be left out.
_MOST = 0.5
# The largest squared residual of a bin: by how much it is not explained does not matter.
_CLIP = 9.0
_MEDIAN_BINS = 101


@dataclass(frozen=True, eq=False)
class RobustReconstruction:
    """Robust latents and reconstructions of N prepared spectra; the plain ones where they fit.

    Attributes
    ----------
    latent : (N, L) float32
    reconstruction : (N, M) float32
        In the unit of the prepared flux, so that residuals are those of the whole spectrum.
    norm : (N,) float32
        ‖flux‖ with the bins that are left out filled, relative to the prepared spectrum's.
    left_out : (N, M) bool
        Good bins that the reconstruction does not depend on.
    """

    latent: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    norm: NDArray[np.float32]
    left_out: NDArray[np.bool_]


def robust_reconstruction(
    vae: OnnxVAE,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    latent: NDArray[np.float32],
    reconstruction: NDArray[np.float32],
) -> RobustReconstruction:
    """Reconstruct prepared spectra without the bins that the model cannot explain.

    Rows do not depend on each other. Only those with a window of residuals beyond 8 σ are
    encoded again; a row whose plain reconstruction is NaN stays as it is.

    Parameters
    ----------
    vae : OnnxVAE
    flux, ivar : (N, M) float32
        Normalised, bad bins infilled; ivar = 0 in bad bins.
    latent : (N, L) float32
    reconstruction : (N, M) float32
        Plain: the encoded flux, and the decoded latent.
    """
    kept = RobustReconstruction(
        latent.copy(),
        reconstruction.copy(),
        np.ones(len(flux), np.float32),
        np.zeros(flux.shape, np.bool_),
    )
    rows = np.flatnonzero(_needed(flux, ivar, reconstruction))
    if len(rows) == 0:
        return kept

    flux, ivar = flux[rows], ivar[rows]
    least = _clipped_error(flux, ivar, reconstruction[rows])
    for model in (reconstruction[rows], _running_median(flux)):
        for round_ in range(1, _ROUNDS + 1):
            left_out = _left_out(flux, ivar, model, _SHARE**round_)
            filled, norm = _fill(flux, ivar, model, left_out)
            encoded = vae.encode(filled)
            model = vae.decode(encoded) * norm[:, None]

            error = _clipped_error(flux, ivar, model)
            better = error < least
            least[better] = error[better]
            kept.latent[rows[better]] = encoded[better]
            kept.reconstruction[rows[better]] = model[better]
            kept.norm[rows[better]] = norm[better]
            kept.left_out[rows[better]] = left_out[better]

    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_window(
    residual: NDArray[np.float64], kept: NDArray[np.bool_]
) -> tuple[float, int, int, bool]:
    """Return significance, first bin, end and sign (positive?) of the most significant window."""
    bins = len(residual)
    total = np.zeros(bins + 1)
    count = np.zeros(bins + 1)
    for j in range(bins):
        total[j + 1] = total[j] + (residual[j] if kept[j] else 0.0)
        count[j + 1] = count[j] + kept[j]

    largest, first, end = 0.0, 0, 0
    squares = np.empty(bins)
    for i in range(len(_WIDTHS)):
        width = min(_WIDTHS[i], bins)
        places = bins - width + 1
        for j in range(places):
            window = total[j + width] - total[j]
            squares[j] = window * window / max(count[j + width] - count[j], 1.0)
        square = squares[:places].max()
        if square > largest:
            largest = square
            first = int(squares[:places].argmax())
            end = first + width
    return np.sqrt(largest), first, end, total[end] > total[first]


@njit(cache=True, nogil=True, error_model="numpy")
def _residual(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], model: NDArray[np.float32]
) -> NDArray[np.float64]:
    residual = np.empty(len(flux))
    for j in range(len(flux)):
        difference = np.float64(flux[j]) - np.float64(model[j])
        residual[j] = difference * np.sqrt(np.float64(ivar[j]))
    return residual


@njit(cache=True, nogil=True, error_model="numpy")
def _needed(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], model: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return the rows with a window that the model does not explain; a NaN counts as explained."""
    needed = np.empty(len(flux), np.bool_)
    for row in range(len(flux)):
        residual = _residual(flux[row], ivar[row], model[row])
        significance, _, _, _ = _largest_window(residual, ivar[row] > 0.0)
        needed[row] = significance >= _LEAST_SIGNIFICANCE
    return needed


@njit(cache=True, nogil=True, error_model="numpy")
def _left_out(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    model: NDArray[np.float32],
    share: float,
) -> NDArray[np.bool_]:
    """Return the bins (N, M) of the windows beyond a share of the largest significance.

    The most significant window is found first, then the most significant one without its bins,
    and so on, until half of the good bins are left out or none is beyond the least significance.
    """
    rows, bins = flux.shape
    left_out = np.zeros((rows, bins), np.bool_)
    for row in range(rows):
        residual = _residual(flux[row], ivar[row], model[row])
        kept = ivar[row] > 0.0
        allowed = _MOST * kept.sum()
        least = 0.0
        while True:
            significance, first, end, positive = _largest_window(residual, kept)
            if least == 0.0:
                least = max(share * significance, _LEAST_SIGNIFICANCE)
            if not significance >= least:
                break

            sign = 1.0 if positive else -1.0
            while first > 0 and kept[first - 1] and sign * residual[first - 1] > _WING:
                first -= 1
            while end < bins and kept[end] and sign * residual[end] > _WING:
                end += 1

            allowed -= kept[first:end].sum()
            if allowed < 0:
                break
            left_out[row, first:end] = kept[first:end]
            kept[first:end] = False
    return left_out


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    model: NDArray[np.float32],
    left_out: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fill bins without information and those left out with the scaled model; normalise.

    The scale is not negative, and fits the other bins best. Return the spectra (N, M) and their
    norms (N,).
    """
    rows, bins = flux.shape
    filled = np.empty((rows, bins), np.float32)
    norms = np.empty(rows, np.float32)
    for row in range(rows):
        product = 0.0
        square = 0.0
        for j in range(bins):
            if not left_out[row, j]:
                weighted = np.float64(ivar[row, j]) * model[row, j]
                product += weighted * flux[row, j]
                square += weighted * model[row, j]
        scale = max(product / square, 0.0) if square > 0.0 else 0.0

        total = 0.0
        for j in range(bins):
            replaced = left_out[row, j] or not ivar[row, j] > 0.0
            filled[row, j] = scale * model[row, j] if replaced else flux[row, j]
            total += np.float64(filled[row, j]) ** 2
        norms[row] = np.sqrt(total)
        for j in range(bins):
            filled[row, j] /= norms[row]
    return filled, norms


@njit(cache=True, nogil=True, error_model="numpy")
def _clipped_error(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], model: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the sum of the squared residuals (N,), each at most the clip; NaN where one is."""
    errors = np.zeros(len(flux))
    for row in range(len(flux)):
        residual = _residual(flux[row], ivar[row], model[row])
        for j in range(len(residual)):
            square = residual[j] ** 2
            errors[row] += _CLIP if square > _CLIP else square
    return errors


@njit(cache=True, nogil=True)
def _running_median(flux: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the upper median of the bins (N, M) around each; there are fewer at the ends."""
    rows, bins = flux.shape
    half = _MEDIAN_BINS // 2
    smooth = np.empty((rows, bins), np.float32)
    window = np.empty(_MEDIAN_BINS, np.float32)
    for row in range(rows):
        # The window's values in ascending order; one enters and one leaves at each step.
        size = 0
        for j in range(-half, bins):
            if j + half < bins:
                value = flux[row, j + half]
                place = size
                while place > 0 and window[place - 1] > value:
                    window[place] = window[place - 1]
                    place -= 1
                window[place] = value
                size += 1
            if j >= 0:
                smooth[row, j] = window[size // 2]
            if j >= half:
                place = np.searchsorted(window[:size], flux[row, j - half])
                window[place : size - 1] = window[place + 1 : size]
                size -= 1
    return smooth
