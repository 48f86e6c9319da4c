"""Conditional tail: the share of inliers that have at least a given score, for a given S/N.

Nodes lie at quantiles of log S/N, close together at both ends, where a score changes fastest. At
each, the median of the scores and the spread above it are measured among the spectra nearby;
between the nodes both are linear. A score less its median, in units of its spread, hardly depends
on S/N any more, and is compared with those of a larger share of the sample around the node. Ranks
end at the extremes of these. Beyond its trusted part the tail is extrapolated with a power law
(Hill 1975): a sample may contain anomalies, and a tail determined by these would hide others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Shares of the sample: how many nodes there are does not depend on its size, so that tails
# fitted to a part of a sample and to all of it are alike.
_WINDOW = 1 / 4
_NODES = 24
_OUTERMOST = 0.002
# Spectra whose median and spread are measured: a share of the sample, or at least a number.
_NEARBY = 1 / 16
_LEAST_NEARBY = 256
# The quantile of the scores that is one spread above the median.
_SPREAD = 0.9
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
    log_snr: NDArray[np.float64],
    levels: NDArray[np.float64],
) -> NDArray[np.float64]:
    tails = np.empty(len(levels))
    for row in range(len(levels)):
        after = int(np.searchsorted(nodes, log_snr[row]))
        upper = min(after, len(nodes) - 1)
        tails[row] = _tail(samples[upper], size, slopes[upper], levels[row])
        if 0 < after < len(nodes):
            lower = after - 1
            share = (log_snr[row] - nodes[lower]) / (nodes[upper] - nodes[lower])
            below = _tail(samples[lower], size, slopes[lower], levels[row])
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
    medians, spreads : (J,) float64
        Of the scores at each node; the spread is positive.
    samples : (J, K) float64
        For each node, the K smallest of the W scores around it, ascending: those that are trusted
        to be inliers'. Less their medians, in units of their spreads.
    size : int
        W.
    slopes : (J,) float64
        Slope of −log of the tail probability beyond the largest of them.
    """

    log_snr: NDArray[np.float64]
    medians: NDArray[np.float64]
    spreads: NDArray[np.float64]
    samples: NDArray[np.float64]
    size: int
    slopes: NDArray[np.float64]

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
        order = np.argsort(log_snr, kind="stable")
        log_snr, scores = log_snr[order], scores[order]
        size = len(order)

        # Quantiles whose distance falls towards both ends, as of a cosine.
        shares = (1 - np.cos(np.linspace(0, np.pi, _NODES))) / 2
        shares = _OUTERMOST + (1 - 2 * _OUTERMOST) * shares
        centres = np.rint(shares * (size - 1)).astype(int)
        nodes = log_snr[centres]

        nearby = min(size, max(_LEAST_NEARBY, int(np.ceil(size * _NEARBY))))
        members = _windows(centres, nearby, size)
        medians, spreads = _medians_and_spreads(nodes, log_snr[members], scores[members])
        levels = _levels(nodes, medians, spreads, log_snr, scores)

        # Of each window the trusted levels.
        window = int(np.ceil(size * _WINDOW))
        kept = int(np.ceil(trusted * window))
        ascending = np.sort(levels[_windows(centres, window, size)], axis=1)
        samples = np.ascontiguousarray(ascending[:, :kept])

        # Hill's estimate from the upper end of these.
        first = kept - max(5, int(_TAIL_SHARE * window))
        excess = samples[:, first:] - samples[:, first, None]
        total = excess.sum(axis=1) + (window - kept) * excess[:, -1]
        slopes = (kept - first) / np.maximum(total, 1e-6)

        return ConditionalTail(nodes, medians, spreads, samples, window, slopes)

    def __call__(
        self, log_snr: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return −log of the tail probability, linear in log S/N between the nodes."""
        levels = _levels(self.log_snr, self.medians, self.spreads, log_snr, scores)
        return _conditional_tails(
            self.log_snr, self.samples, self.size, self.slopes, log_snr, levels
        )

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of an .npz file, their names beginning with a name."""
        return {
            f"{name}_log_snr": self.log_snr,
            f"{name}_medians": self.medians,
            f"{name}_spreads": self.spreads,
            f"{name}_samples": self.samples,
            f"{name}_size": np.array(self.size),
            f"{name}_slopes": self.slopes,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], name: str) -> "ConditionalTail":
        """Read what `to_arrays` wrote."""
        return ConditionalTail(
            arrays[f"{name}_log_snr"].astype(np.float64),
            arrays[f"{name}_medians"].astype(np.float64),
            arrays[f"{name}_spreads"].astype(np.float64),
            arrays[f"{name}_samples"].astype(np.float64),
            int(arrays[f"{name}_size"]),
            arrays[f"{name}_slopes"].astype(np.float64),
        )


def _windows(centres: NDArray[np.intp], width: int, size: int) -> NDArray[np.intp]:
    """Return the indices (J, width) of the neighbours of each centre (J,) in a sample."""
    starts = np.clip(centres - width // 2, 0, size - width)
    return starts[:, None] + np.arange(width)


def _medians_and_spreads(
    nodes: NDArray[np.float64], log_snr: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return median and spread (J,) at nodes (J,), of scores (J, W) nearby, ascending in S/N.

    Both are measured in the fainter and in the brighter half of a window; the node, which is at
    the ends not in the middle, is on the line through them.
    """
    half = scores.shape[1] // 2
    faint, bright = slice(None, half), slice(-half, None)
    begin, end = log_snr[:, faint].mean(axis=1), log_snr[:, bright].mean(axis=1)
    share = (nodes - begin) / np.maximum(end - begin, 1e-9)

    lower, upper = (
        np.quantile(scores[:, part], [0.5, _SPREAD], axis=1) for part in (faint, bright)
    )
    medians = lower[0] + share * (upper[0] - lower[0])
    below, above = lower[1] - lower[0], upper[1] - upper[0]
    mean = (below + above) / 2
    spreads = np.clip(below + share * (above - below), mean / 2, 2 * mean)
    # Scores that are all equal have no spread.
    return medians, np.maximum(spreads, 1e-6)


def _levels(
    nodes: NDArray[np.float64],
    medians: NDArray[np.float64],
    spreads: NDArray[np.float64],
    log_snr: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return scores (N,) less the median at their S/N, in units of the spread there."""
    deviation = scores - np.interp(log_snr, nodes, medians)
    return deviation / np.interp(log_snr, nodes, spreads)
