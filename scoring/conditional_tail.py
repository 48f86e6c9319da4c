"""Conditional tail: the share of inliers that have at least a given score, for a given S/N.

Nodes lie at quantiles of log S/N. Around each, the scores of a fixed share of the sample are
compared with those of a new spectrum, a linear trend with log S/N taken off within the window.
Ranks end at the window's extremes. Beyond its trusted part the tail is extrapolated with a power
law (Hill 1975): a sample may contain anomalies, and a tail determined by these would hide others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Shares of the sample: how many nodes there are does not depend on its size, so that tails
# fitted to a part of a sample and to all of it are alike.
_WINDOW = 1 / 8
_NODES = 24
_OUTERMOST = 0.002
# Share of a window, just below the trusted part's end, that determines the slope beyond it.
_TAIL_SHARE = 0.15


@njit(cache=True, nogil=True)
def _tail(
    sample: NDArray[np.float64], size: int, slope: np.float64, value: np.float64
) -> np.float64:
    """Return −log of the share of inliers' scores at or above a value.

    `sample` holds the smallest of `size` scores, ascending. The result is linear between them, and
    so strictly increasing; beyond the largest of them it is linear with the slope; below the
    smallest it falls towards 0.
    """
    if value < sample[0]:
        return np.log((size + 1) / size) * np.exp(value - sample[0])

    # The last knot at or below the value; of equal knots the first.
    following = np.searchsorted(sample, value, side="right")
    knot = following - 1
    while knot > 0 and sample[knot - 1] == sample[knot]:
        knot -= 1

    tail = np.log((size + 1) / (size - knot))
    beyond = value - sample[knot]
    if following == len(sample):
        return tail + slope * beyond
    rise = np.log((size - knot) / (size - following))
    return tail + rise * beyond / (sample[following] - sample[knot])


@njit(cache=True, nogil=True)
def _conditional_tails(
    nodes: NDArray[np.float64],
    samples: NDArray[np.float64],
    size: int,
    slopes: NDArray[np.float64],
    trends: NDArray[np.float64],
    log_snr: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    tails = np.empty(len(scores))
    for row in range(len(scores)):
        after = int(np.searchsorted(nodes, log_snr[row]))
        upper = min(after, len(nodes) - 1)
        level = scores[row] - trends[upper] * (log_snr[row] - nodes[upper])
        tails[row] = _tail(samples[upper], size, slopes[upper], level)
        if 0 < after < len(nodes):
            lower = after - 1
            share = (log_snr[row] - nodes[lower]) / (nodes[upper] - nodes[lower])
            level = scores[row] - trends[lower] * (log_snr[row] - nodes[lower])
            below = _tail(samples[lower], size, slopes[lower], level)
            tails[row] = (1 - share) * below + share * tails[row]
    return tails


@njit(cache=True, nogil=True)
def log_tails(
    sample: NDArray[np.float64], size: int, slope: np.float64, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return −log of the share (N,) of inliers' scores at or above each value.

    Parameters
    ----------
    sample : (K,) float64
        The smallest scores of a sample, ascending.
    size : int
        Scores of the sample.
    slope : float
        Of the result, beyond the largest of `sample`.
    values : (N,) float64
    """
    tails = np.empty(len(values))
    for row in range(len(values)):
        tails[row] = _tail(sample, size, slope, values[row])
    return tails


@dataclass(frozen=True, eq=False)
class ConditionalTail:
    """Tail probability of one score given log S/N.

    Attributes
    ----------
    log_snr : (J,) float64
        Nodes, ascending.
    samples : (J, K) float64
        For each node, the K smallest scores of the W spectra around it, ascending: those that are
        trusted to be inliers'. The trend is taken off.
    size : int
        W.
    slopes : (J,) float64
        Slope of −log of the tail probability beyond the largest of them.
    trends : (J,) float64
        Slope of the score with log S/N in the window.
    """

    log_snr: NDArray[np.float64]
    samples: NDArray[np.float64]
    size: int
    slopes: NDArray[np.float64]
    trends: NDArray[np.float64]

    @staticmethod
    def fit(
        log_snr: NDArray[np.float64], scores: NDArray[np.float64], trusted: float = 1.0
    ) -> "ConditionalTail":
        """Place nodes at quantiles of log S/N and sort the scores around each.

        Parameters
        ----------
        log_snr, scores : (C,) float64
        trusted : float
            Share of the sample, its smallest scores, that determines the tail. Of the rest only
            the number is used: the slope is Hill's estimate from a censored sample.
        """
        # The window of spectra around each node.
        order = np.argsort(log_snr, kind="stable")
        size = len(order)
        window = int(np.ceil(size * _WINDOW))
        shares = np.linspace(_OUTERMOST, 1 - _OUTERMOST, _NODES)
        centres = np.rint(shares * (size - 1)).astype(int)
        starts = np.clip(centres - window // 2, 0, size - window)
        members = order[starts[:, None] + np.arange(window)]
        nodes = log_snr[order][centres]

        # Of each window the trusted scores, without their trend.
        offset = log_snr[members] - nodes[:, None]
        trends = _trends(offset, scores[members])
        kept = int(np.ceil(trusted * window))
        ascending = np.sort(scores[members] - trends[:, None] * offset, axis=1)
        samples = np.ascontiguousarray(ascending[:, :kept])

        # Hill's estimate from the upper end of these.
        first = kept - max(5, int(_TAIL_SHARE * window))
        excess = samples[:, first:] - samples[:, first, None]
        total = excess.sum(axis=1) + (window - kept) * excess[:, -1]
        slopes = (kept - first) / np.maximum(total, 1e-6)

        return ConditionalTail(nodes, samples, window, slopes, trends)

    def __call__(
        self, log_snr: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return −log of the tail probability, linear in log S/N between the nodes."""
        return _conditional_tails(
            self.log_snr, self.samples, self.size, self.slopes, self.trends, log_snr, scores
        )

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of an .npz file, their names beginning with a name."""
        return {
            f"{name}_log_snr": self.log_snr,
            f"{name}_samples": self.samples,
            f"{name}_size": np.array(self.size),
            f"{name}_slopes": self.slopes,
            f"{name}_trends": self.trends,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], name: str) -> "ConditionalTail":
        """Read what `to_arrays` returned."""
        return ConditionalTail(
            arrays[f"{name}_log_snr"].astype(np.float64),
            arrays[f"{name}_samples"].astype(np.float64),
            int(arrays[f"{name}_size"]),
            arrays[f"{name}_slopes"].astype(np.float64),
            arrays[f"{name}_trends"].astype(np.float64),
        )


def _trends(offset: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slope (J,) of scores (J, W) with an offset in log S/N (J, W)."""
    # A few extremes must not turn the line.
    low, high = np.quantile(scores, [0.05, 0.95], axis=1, keepdims=True)
    centred = np.clip(scores, low, high)
    centred -= centred.mean(axis=1, keepdims=True)
    x = offset - offset.mean(axis=1, keepdims=True)
    return (x * centred).sum(axis=1) / np.maximum((x * x).sum(axis=1), 1e-12)
