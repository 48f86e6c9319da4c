"""Segments: where, and how wide, a spectrum lies off its robust reconstruction.

Windows of 1, 2, 4, ... bins, up to half of the grid, are scanned for a mean residual that inliers
of the same S/N do not have. The most significant window is taken, its ends are moved to where it is
most significant, and the bins that are left are scanned again. A threshold belongs to each width
and S/N, because the residuals of inliers are correlated, and those of bright ones are the model's
errors more than noise.

The scan is the likelihood ratio selection of Jeng, Cai & Li (2010), with thresholds from inliers in
place of those for independent noise. The error of a bin is its noise and the scatter of inliers
there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_store.grid import RestGrid
from outcrop.explanations import Segment
from scoring.conditional_tail import ConditionalTail

from .scatter import InlierScatter

LEVEL = 0.0005
"""Share of the inliers that would have a segment, were the tails of their windows exponential."""
_HEAVIER = 1.3
"""On thresholds, for tails are heavier: 0.3 % of the inliers of another sky have a segment."""
MOST = 20
"""Segments of a spectrum."""
# The thresholds follow from this share of the sample, its least significant windows, so that a few
# anomalies in it do not raise them.
_TRUSTED = 0.97
# Share of the inliers that tells how many widths are independent.
_BODY = 0.1
# Neighbours with the segment's sign and a residual of more than this many σ belong to it.
_WING = 1.0


def widths(bins: int) -> NDArray[np.int64]:
    """Return the widths (W,) that are scanned: the powers of two below the number of bins."""
    return 2 ** np.arange(max(int(bins - 1).bit_length(), 1))


@njit(cache=True, nogil=True, error_model="numpy")
def _residual(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], model: NDArray[np.float32]
) -> NDArray[np.float64]:
    residual = np.zeros(len(flux))
    for j in range(len(flux)):
        if ivar[j] > 0.0:
            difference = np.float64(flux[j]) - np.float64(model[j])
            residual[j] = difference * np.sqrt(np.float64(ivar[j]))
    return residual


@njit(cache=True, nogil=True, error_model="numpy")
def _sums(
    residual: NDArray[np.float64], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of residuals and the numbers of bins before each edge, (M + 1,)."""
    total = np.zeros(len(residual) + 1)
    count = np.zeros(len(residual) + 1)
    for j in range(len(residual)):
        total[j + 1] = total[j] + (residual[j] if kept[j] else 0.0)
        count[j + 1] = count[j] + kept[j]
    return total, count


@njit(cache=True, nogil=True, error_model="numpy")
def _largest(
    total: NDArray[np.float64], count: NDArray[np.float64], width: int
) -> tuple[float, int]:
    """Return significance and first bin of the most significant window of one width."""
    places = len(total) - width
    squares = np.empty(places)
    for j in range(places):
        window = total[j + width] - total[j]
        squares[j] = window * window / max(count[j + width] - count[j], 1.0)
    first = int(squares.argmax())
    return np.sqrt(squares[first]), first


@njit(cache=True, nogil=True, error_model="numpy")
def _all_largest(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    model: NDArray[np.float32],
    widths: NDArray[np.int64],
) -> NDArray[np.float64]:
    largest = np.empty((len(flux), len(widths)))
    for row in range(len(flux)):
        residual = _residual(flux[row], ivar[row], model[row])
        total, count = _sums(residual, ivar[row] > 0.0)
        for i in range(len(widths)):
            largest[row, i], _ = _largest(total, count, widths[i])
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _refined(
    total: NDArray[np.float64], count: NDArray[np.float64], first: int, end: int
) -> tuple[int, int]:
    """Move the ends of a window by up to half its width to where it is most significant."""
    bins = len(total) - 1
    reach = (end - first) // 2
    for _ in range(2):
        best, place = -1.0, first
        for j in range(max(first - reach, 0), min(first + reach, end - 1) + 1):
            window = total[end] - total[j]
            square = window * window / max(count[end] - count[j], 1.0)
            if square > best:
                best, place = square, j
        first = place

        best, place = -1.0, end
        for j in range(max(end - reach, first + 1), min(end + reach, bins) + 1):
            window = total[j] - total[first]
            square = window * window / max(count[j] - count[first], 1.0)
            if square > best:
                best, place = square, j
        end = place
    return first, end


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(
    residual: NDArray[np.float64],
    good: NDArray[np.bool_],
    widths: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the segments' first bins and ends (S, 2), and their signed significances (S,)."""
    bins = len(residual)
    kept = good.copy()
    places = np.empty((most, 2), np.int64)
    values = np.empty(most)
    found = 0
    while found < most:
        total, count = _sums(residual, kept)
        largest, first, end = 0.0, 0, 0
        for i in range(len(widths)):
            significance, place = _largest(total, count, widths[i])
            if significance > max(thresholds[i], largest):
                largest, first, end = significance, place, place + widths[i]
        if largest == 0.0:
            break

        first, end = _refined(total, count, first, end)
        sign = 1.0 if total[end] > total[first] else -1.0
        while not kept[first]:
            first += 1
        while not kept[end - 1]:
            end -= 1
        while first > 0 and kept[first - 1] and sign * residual[first - 1] > _WING:
            first -= 1
        while end < bins and kept[end] and sign * residual[end] > _WING:
            end += 1

        places[found, 0], places[found, 1] = first, end
        number = kept[first:end].sum()
        values[found] = residual[first:end][kept[first:end]].sum() / np.sqrt(number)
        kept[first:end] = False
        found += 1
    return places[:found], values[:found]


def largest_significances(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], model: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the significance of the most significant window of each width.

    Parameters
    ----------
    flux, ivar, model : (N, M) float32
        Prepared spectra and their robust reconstructions; bins with ivar = 0 do not count.

    Returns
    -------
    (N, W) float64
        |Σ residual/σ| / √n over the n good bins of a window, the largest of all windows, for each
        of `widths`.
    """
    return _all_largest(flux, ivar, model, widths(flux.shape[1]))


@dataclass(frozen=True, eq=False)
class SegmentScan:
    """What a residual of inliers is like, and so which windows are segments.

    Attributes
    ----------
    grid : RestGrid
    scatter : InlierScatter
    log_snr : (J,) float64
        Nodes, ascending; thresholds are linear between them and constant beyond.
    thresholds : (J, W) float64
        Significances of inliers' windows, by width; a segment is more significant.
    """

    grid: RestGrid
    scatter: InlierScatter
    log_snr: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @staticmethod
    def fit(
        flux: NDArray[np.float32],
        ivar: NDArray[np.float32],
        model: NDArray[np.float32],
        z: NDArray[np.float64],
        snr: NDArray[np.floating],
        grid: RestGrid,
    ) -> "SegmentScan":
        """Find the thresholds that this share, `LEVEL`, of the inliers of any S/N is beyond.

        Parameters
        ----------
        flux, ivar, model : (C, M) float32
            Prepared spectra that were not trained on, and their robust reconstructions; a few
            anomalies among them do no harm.
        z, snr : (C,) float
            S/N is the median of flux·√ivar, at least 1.
        grid : RestGrid
        """
        scatter = InlierScatter.fit(flux, ivar, model, z, grid)
        largest = largest_significances(flux, scatter.reduced(ivar, model, z), model)
        log_snr = np.log(snr.astype(np.float64))
        values = np.log(np.maximum(largest, np.finfo(np.float64).tiny))
        tails = [ConditionalTail.fit(log_snr, one, _TRUSTED) for one in values.T]

        # Each tail probability is exponential: that of the smallest of them falls as they do.
        smallest = [tail(log_snr, one) for tail, one in zip(tails, values.T, strict=True)]
        body = np.quantile(np.max(smallest, axis=0), 1 - _BODY)
        nodes = tails[0].log_snr
        wanted = float(body) + np.log(_BODY / LEVEL)
        thresholds = _HEAVIER * np.exp([_value_at(tail, nodes, wanted) for tail in tails]).T
        return SegmentScan(grid, scatter, nodes, thresholds)

    def thresholds_at(self, snr: float) -> NDArray[np.float64]:
        """Return the thresholds (W,) at a S/N."""
        log_snr = np.log(max(snr, np.finfo(np.float64).tiny))
        return np.array([np.interp(log_snr, self.log_snr, one) for one in self.thresholds.T])

    def segments(
        self,
        flux: NDArray[np.float32],
        ivar: NDArray[np.float32],
        model: NDArray[np.float32],
        z: float,
        snr: float,
    ) -> tuple[Segment, ...]:
        """Find the segments of a spectrum, at most 20; the most significant first, without tags.

        Parameters
        ----------
        flux, ivar, model : (M,) float32
            Prepared spectrum and its robust reconstruction; bins with ivar = 0 do not count.
        z : float
            That the spectrum was prepared with.
        snr : float
            Median of flux·√ivar.
        """
        reduced = self.scatter.reduced(ivar[None], model[None], np.array([z]))[0]
        good = reduced > 0
        places, values = _scan(
            _residual(flux, reduced, model),
            good,
            widths(len(flux)),
            self.thresholds_at(snr),
            MOST,
        )

        edges, found = self.grid.edges, []
        for i in np.argsort(-np.abs(values), kind="stable"):
            first, end = places[i]
            rest = float(edges[first]), float(edges[end])
            here = first + np.flatnonzero(good[first:end])
            continuum = np.mean(model[here], dtype=np.float64)
            difference = np.mean(flux[here], dtype=np.float64) - continuum
            found.append(
                Segment(
                    rest=rest,
                    observed=(rest[0] * (1 + z), rest[1] * (1 + z)),
                    significance=abs(float(values[i])),
                    sign=1 if values[i] > 0 else -1,
                    continuum_share=float(difference / continuum) if continuum > 0 else np.nan,
                )
            )
        return tuple(found)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of an .npz file; their names begin with ``segments_``."""
        return {
            "segments_log_snr": self.log_snr,
            "segments_thresholds": self.thresholds,
            "segments_sky_scatter": self.scatter.sky,
            "segments_model_scatter": self.scatter.model,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], grid: RestGrid) -> "SegmentScan":
        """Read what `to_arrays` returned, for the same grid."""
        scatter = InlierScatter(
            grid.wave,
            arrays["segments_sky_scatter"].astype(np.float64),
            arrays["segments_model_scatter"].astype(np.float64),
        )
        return SegmentScan(
            grid,
            scatter,
            arrays["segments_log_snr"].astype(np.float64),
            arrays["segments_thresholds"].astype(np.float64),
        )


def _value_at(
    tail: ConditionalTail, log_snr: NDArray[np.float64], wanted: float
) -> NDArray[np.float64]:
    """Return the scores (J,) at which −log of the tail probability is as wanted."""
    low, high = np.full(len(log_snr), -50.0), np.full(len(log_snr), 50.0)
    for _ in range(50):
        middle = (low + high) / 2
        beyond = tail(log_snr, middle) > wanted
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return (low + high) / 2
