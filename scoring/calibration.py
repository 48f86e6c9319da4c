"""Calibration: from scores to the probability that an ordinary spectrum scores as strange.

Raw wmse grows with S/N² times any misfit, and raw NOF with the noise itself, so a score says
little until it is compared with ordinary spectra of like S/N. Here each score becomes a tail
probability among the calibration spectra nearest in log S/N; their weighted harmonic mean
(Wilson 2019), which lets the strangest score speak without the others' noise drowning it, is
calibrated once more, among the same spectra, into a split-conformal p-value (Vovk et al. 2005).
The calibration spectra are never trained on.

Ranks stop at the calibration sample's extremes. Beyond them the tail is extrapolated with a
power law (Hill 1975), so that p-values order the strangest spectra too and never tie nor reach 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .residual import WIDTHS

SCORES = ("wmse", "nof", *(f"coherence_{width}" for width in WIDTHS))
# The whole spectrum's misfit speaks with half of the voice, each narrower question with an eighth.
_WEIGHTS = np.array([4, 1, *(1 for _ in WIDTHS)]) / (5 + len(WIDTHS))
_NODE_SPACING = 400
_WINDOW = 1000
_MIN_SAMPLE = 50
_FOLDS = 5
_TAIL_SHARE = 0.05
# Beyond e^-50 a probability is only an order. Compressing it keeps the order and avoids 0.
_COMPRESS_BEYOND = 50.0


def _strangeness(
    coverage: NDArray[np.float32],
    wmse: NDArray[np.float32],
    nof: NDArray[np.float32],
    coherence: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return log scores (S, N) in the order of `SCORES`; larger is stranger.

    wmse counts per good bin, so that masked bins do not make a spectrum look better.
    """
    scores = np.vstack([wmse.astype(np.float64) / coverage, -nof.astype(np.float64), coherence.T])
    return np.log(np.maximum(scores, np.finfo(np.float64).tiny))


def _tail(sample: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return −log of the share of the sorted sample at or above each value.

    Linear between the sample's values, which makes it strictly increasing; beyond the largest,
    linear with the slope of the sample's tail; below the smallest, falling towards 0.
    """
    size = len(sample)
    at_sample = np.log((size + 1) / np.arange(size, 0, -1))
    knots, first = np.unique(sample, return_index=True)
    tail = np.interp(values, knots, at_sample[first])
    top = sample[-max(5, int(_TAIL_SHARE * size)) :]
    slope = 1.0 / max(float(np.mean(top - top[0])), 1e-6)
    above = values > knots[-1]
    tail[above] = at_sample[first[-1]] + slope * (values[above] - knots[-1])
    below = values < knots[0]
    tail[below] = at_sample[0] * np.exp(values[below] - knots[0])
    return tail


@dataclass(frozen=True, eq=False)
class ConditionalTail:
    """Tail probability of one score given log S/N.

    Attributes
    ----------
    log_snr : (J,) float64
        Nodes, ascending.
    samples : (J, W) float64
        At each node the scores of the W calibration spectra nearest in log S/N, ascending.
    """

    log_snr: NDArray[np.float64]
    samples: NDArray[np.float64]

    @staticmethod
    def fit(log_snr: NDArray[np.float64], scores: NDArray[np.float64]) -> "ConditionalTail":
        """Place nodes at quantiles of log S/N and sort the scores around each."""
        order = np.argsort(log_snr, kind="stable")
        size = len(order)
        window = min(size, _WINDOW)
        nodes = max(1, size // _NODE_SPACING)
        centres = ((np.arange(nodes) + 0.5) * size / nodes).astype(int)
        starts = np.clip(centres - window // 2, 0, size - window)
        members = order[starts[:, None] + np.arange(window)]
        return ConditionalTail(
            log_snr=log_snr[order][centres], samples=np.sort(scores[members], axis=1)
        )

    def __call__(
        self, log_snr: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return −log of the tail probability, linear in log S/N between the nodes."""
        position = np.interp(log_snr, self.log_snr, np.arange(len(self.log_snr)))
        lower = np.floor(position).astype(int)
        share = position - lower
        tail = np.zeros(len(scores))
        for node, sample in enumerate(self.samples):
            weight = np.where(lower == node, 1 - share, np.where(lower + 1 == node, share, 0))
            rows = np.flatnonzero(weight)
            tail[rows] += weight[rows] * _tail(sample, scores[rows])
        return tail


@dataclass(frozen=True, eq=False)
class Calibration:
    """What ordinary spectra score, by S/N.

    Attributes
    ----------
    snr_range : (float, float)
        Smallest and largest S/N of the calibration spectra.
    scores : tuple of ConditionalTail
        Of the logarithm of each of `SCORES`.
    combined : ConditionalTail
        Of −log of the harmonic mean of their tail probabilities.
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
        coherence: NDArray[np.float32],
    ) -> "Calibration":
        """Calibrate on C eligible spectra that were not trained on.

        Parameters
        ----------
        snr, coverage, wmse, nof : (C,) float32
        coherence : (C, 3) float32

        Raises
        ------
        ValueError
            With fewer than 50 spectra: a 1 % level would mean nothing.
        """
        if len(snr) < _MIN_SAMPLE:
            raise ValueError(
                f"{len(snr)} calibration spectra; at least {_MIN_SAMPLE} are needed: "
                "give more petals or a larger calibration share"
            )
        log_snr = np.log(snr.astype(np.float64))
        values = _strangeness(coverage, wmse, nof, coherence)
        # Each spectrum is ranked among the others: among a sample that holds itself it would never
        # lie beyond the extremes, as new ones do, and the p-values would come out too small.
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
        coherence: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Return the p-values (N,) of eligible spectra, in (0, 1); smaller is stranger."""
        log_snr = np.log(snr.astype(np.float64))
        values = _strangeness(coverage, wmse, nof, coherence)
        tail = self.combined(log_snr, _harmonic_mean(self.scores, log_snr, values))
        far = tail > _COMPRESS_BEYOND
        tail[far] = _COMPRESS_BEYOND * (1 + np.log(tail[far] / _COMPRESS_BEYOND))
        return np.exp(-tail)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what calibration.npz holds."""
        arrays: dict[str, NDArray[np.generic]] = {"snr_range": np.array(self.snr_range)}
        for name, tail in zip((*SCORES, "combined"), (*self.scores, self.combined), strict=True):
            arrays[f"{name}_log_snr"] = tail.log_snr
            arrays[f"{name}_samples"] = tail.samples
        return arrays

    @staticmethod
    def from_arrays(arrays: dict[str, NDArray[np.generic]]) -> "Calibration":
        """Read what `to_arrays` wrote."""
        low, high = arrays["snr_range"].astype(np.float64)
        *scores, combined = (
            ConditionalTail(
                arrays[f"{name}_log_snr"].astype(np.float64),
                arrays[f"{name}_samples"].astype(np.float64),
            )
            for name in (*SCORES, "combined")
        )
        return Calibration((float(low), float(high)), tuple(scores), combined)


def _tails(
    log_snr: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[ConditionalTail, ...]:
    return tuple(ConditionalTail.fit(log_snr, value) for value in values)


def _harmonic_mean(
    scores: tuple[ConditionalTail, ...],
    log_snr: NDArray[np.float64],
    values: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return −log of the weighted harmonic mean (N,) of the scores' tail probabilities."""
    tails = np.stack([score(log_snr, value) for score, value in zip(scores, values, strict=True)])
    # The largest is taken out first: its exponential alone could overflow.
    largest = tails.max(axis=0)
    return largest + np.log(_WEIGHTS @ np.exp(tails - largest))
