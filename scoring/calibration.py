"""Calibration: from scores to the probability that an inlier scores as anomalous.

wmse grows with S/N² times any misfit, and NOF with the noise, so a score is meaningful only when
it is compared with inliers of similar S/N. Each score is therefore turned into a tail probability
among the calibration spectra nearest in log S/N. The weighted harmonic mean of these probabilities
(Wilson 2019) is dominated by the most anomalous score. It is calibrated again, on the same
spectra, to a split-conformal p-value (Vovk et al. 2005). No calibration spectrum is trained on.

Ranks end at the calibration sample's extremes. Beyond them the tail is extrapolated with a power
law (Hill 1975), so that p-values also order the most anomalous spectra, and never tie nor reach 0.
The tails of the single scores are extrapolated from the 95th percentile on: a calibration sample
may contain anomalies, and a tail determined by these would hide others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .residual import WIDTHS

# As calibration.npz names them; "coherence" is its word for boxcar significance.
SCORES = ("wmse", "nof", *(f"coherence_{width}" for width in WIDTHS))
# Half of the weight is wmse's; the other scores share the rest equally.
_WEIGHTS = np.array([4, 1, *(1 for _ in WIDTHS)]) / (5 + len(WIDTHS))
_NODE_SPACING = 400
_WINDOW = 1000
_MIN_SAMPLE = 50
_FOLDS = 5
TRUSTED = 0.95
"""Share of a calibration sample, its least anomalous part, that determines a score's tail."""
# Share of the sample, just below the trusted part's end, that determines the slope beyond it.
_TAIL_SHARE = 0.15
# Below e^-50 only the order of probabilities matters. Compression keeps the order and avoids 0.
_COMPRESS_BEYOND = 50.0


def _anomaly_score(
    coverage: NDArray[np.float32],
    wmse: NDArray[np.float32],
    nof: NDArray[np.float32],
    boxcar_significance: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return log scores (S, N) in the order of `SCORES`; larger is more anomalous.

    wmse is taken per good bin, so that masked bins do not make a spectrum less anomalous.
    """
    scores = np.vstack(
        [wmse.astype(np.float64) / coverage, -nof.astype(np.float64), boxcar_significance.T]
    )
    return np.log(np.maximum(scores, np.finfo(np.float64).tiny))


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
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    tails = np.empty(len(scores))
    for row in range(len(scores)):
        after = int(np.searchsorted(nodes, log_snr[row]))
        upper = min(after, len(nodes) - 1)
        tails[row] = _tail(samples[upper], size, slopes[upper], scores[row])
        if 0 < after < len(nodes):
            lower = after - 1
            share = (log_snr[row] - nodes[lower]) / (nodes[upper] - nodes[lower])
            below = _tail(samples[lower], size, slopes[lower], scores[row])
            tails[row] = (1 - share) * below + share * tails[row]
    return tails


@dataclass(frozen=True, eq=False)
class ConditionalTail:
    """Tail probability of one score given log S/N.

    Attributes
    ----------
    log_snr : (J,) float64
        Nodes, ascending.
    samples : (J, K) float64
        For each node, the K smallest scores of the W calibration spectra nearest to it in log S/N,
        ascending: those that are trusted to be inliers'.
    size : int
        W.
    slopes : (J,) float64
        Slope of −log of the tail probability beyond the largest of them.
    """

    log_snr: NDArray[np.float64]
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
        # The window of spectra around each node.
        order = np.argsort(log_snr, kind="stable")
        size = len(order)
        window = min(size, _WINDOW)
        nodes = max(1, size // _NODE_SPACING)
        centres = ((np.arange(nodes) + 0.5) * size / nodes).astype(int)
        starts = np.clip(centres - window // 2, 0, size - window)
        members = order[starts[:, None] + np.arange(window)]

        # Of each window the trusted scores.
        kept = int(np.ceil(trusted * window))
        samples = np.sort(scores[members], axis=1)[:, :kept]

        # Hill's estimate from the upper end of these.
        first = kept - max(5, int(_TAIL_SHARE * window))
        excess = samples[:, first:] - samples[:, first, None]
        total = excess.sum(axis=1) + (window - kept) * excess[:, -1]
        slopes = (kept - first) / np.maximum(total, 1e-6)

        return ConditionalTail(log_snr[order][centres], samples, window, slopes)

    def __call__(
        self, log_snr: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return −log of the tail probability, linear in log S/N between the nodes."""
        return _conditional_tails(
            self.log_snr, self.samples, self.size, self.slopes, log_snr, scores
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """The distribution of inliers' scores, by S/N.

    Attributes
    ----------
    snr_range : (float, float)
        Smallest and largest S/N of the calibration spectra.
    scores : tuple of ConditionalTail
        For the logarithm of each of `SCORES`.
    combined : ConditionalTail
        For −log of the harmonic mean of their tail probabilities.
    """

    snr_range: tuple[float, float]
    scores: tuple[ConditionalTail, ...]
    combined: ConditionalTail

    @staticmethod
    def fit(
        snr: NDArray[np.float32],
        coverage: NDArray[np.float32],
        wmse: NDArray[np.float32],
        nof: NDArray[np.float32],
        boxcar_significance: NDArray[np.float32],
    ) -> "Calibration":
        """Calibrate on C eligible spectra that were not trained on.

        Parameters
        ----------
        snr, coverage, wmse, nof : (C,) float32
        boxcar_significance : (C, 3) float32

        Raises
        ------
        ValueError
            With fewer than 50 spectra, too few for a level of 1 %.
        """
        if len(snr) < _MIN_SAMPLE:
            raise ValueError(
                f"{len(snr)} calibration spectra; at least {_MIN_SAMPLE} are needed: "
                "give more petals or a larger calibration share"
            )
        log_snr = np.log(snr.astype(np.float64))
        values = _anomaly_score(coverage, wmse, nof, boxcar_significance)

        # Cross-validation: in a sample that contains it, a spectrum never lies beyond the extremes,
        # as new ones do, and the p-values would be too small.
        fold = np.arange(len(snr)) % _FOLDS
        means = np.empty(len(snr))
        for out in range(_FOLDS):
            kept, left = fold != out, fold == out
            means[left] = _harmonic_mean(
                _tails(log_snr[kept], values[:, kept]), log_snr[left], values[:, left]
            )

        combined = ConditionalTail.fit(log_snr, means)
        snr_range = (float(snr.min()), float(snr.max()))
        return Calibration(snr_range, _tails(log_snr, values), combined)

    def p_value(
        self,
        snr: NDArray[np.float32],
        coverage: NDArray[np.float32],
        wmse: NDArray[np.float32],
        nof: NDArray[np.float32],
        boxcar_significance: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Return the p-values (N,) of eligible spectra, in (0, 1); smaller is more anomalous."""
        log_snr = np.log(snr.astype(np.float64))
        values = _anomaly_score(coverage, wmse, nof, boxcar_significance)
        tail = self.combined(log_snr, _harmonic_mean(self.scores, log_snr, values))
        far = tail > _COMPRESS_BEYOND
        tail[far] = _COMPRESS_BEYOND * (1 + np.log(tail[far] / _COMPRESS_BEYOND))
        return np.exp(-tail)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of calibration.npz."""
        arrays: dict[str, NDArray[np.generic]] = {"snr_range": np.array(self.snr_range)}
        for name, tail in zip((*SCORES, "combined"), (*self.scores, self.combined), strict=True):
            arrays[f"{name}_log_snr"] = tail.log_snr
            arrays[f"{name}_samples"] = tail.samples
            arrays[f"{name}_size"] = np.array(tail.size)
            arrays[f"{name}_slopes"] = tail.slopes
        return arrays

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Calibration":
        """Read what `to_arrays` wrote."""
        low, high = arrays["snr_range"].astype(np.float64)
        *scores, combined = (
            ConditionalTail(
                arrays[f"{name}_log_snr"].astype(np.float64),
                arrays[f"{name}_samples"].astype(np.float64),
                int(arrays[f"{name}_size"]),
                arrays[f"{name}_slopes"].astype(np.float64),
            )
            for name in (*SCORES, "combined")
        )
        return Calibration((float(low), float(high)), tuple(scores), combined)


def _tails(
    log_snr: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[ConditionalTail, ...]:
    return tuple(ConditionalTail.fit(log_snr, value, TRUSTED) for value in values)


def _harmonic_mean(
    scores: tuple[ConditionalTail, ...],
    log_snr: NDArray[np.float64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return −log of the weighted harmonic mean (N,) of the scores' tail probabilities."""
    tails = np.stack([score(log_snr, value) for score, value in zip(scores, values, strict=True)])
    # Factoring out the largest prevents an overflow of the exponential.
    largest = tails.max(axis=0)
    # Not a matrix product: BLAS rounds a row by its place in the batch, this sum does not.
    weighted = _WEIGHTS[:, None] * np.exp(tails - largest)
    return largest + np.log(weighted.sum(axis=0))
