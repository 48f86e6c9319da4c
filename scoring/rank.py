"""Rank: the p-value of a combined score among a whole calibration sample.

Up to the most anomalous spectra of the sample a p-value is a rank: the split-conformal p-value
(Vovk et al. 2005). Beyond, it is extrapolated by a generalised Pareto distribution (Pickands 1975)
that is fitted to the sample's tail by probability-weighted moments (Hosking & Wallis 1987).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .conditional_tail import log_tails

_TAIL_SHARE = 0.05
# The largest values of a sample are too few to be ranks of anything: ten, or one in 300 if fewer.
_BEYOND = 10
_ONE_IN = 300
# Below 0 the tail would end; above, it would hardly fall.
_SHAPES = (0.0, 0.5)


@dataclass(frozen=True, eq=False)
class Rank:
    """Distribution of a score among the inliers of a calibration sample.

    Attributes
    ----------
    sample : (K,) float64
        The smallest of the scores, ascending, up to where ranks end.
    size : int
        Scores of the whole sample.
    threshold, shape, scale : float
        The generalised Pareto distribution of the scores above the threshold.
    """

    sample: NDArray[np.float64]
    size: int
    threshold: float
    shape: float
    scale: float

    @staticmethod
    def fit(scores: NDArray[np.float64]) -> "Rank":
        """Fit to the scores (n,) of inliers."""
        ascending = np.sort(scores)
        size = len(ascending)
        beyond = max(1, min(_BEYOND, size // _ONE_IN))
        above = max(2 * _BEYOND, int(_TAIL_SHARE * size))
        threshold = float(ascending[-above - 1])
        shape, scale = _pareto(ascending[-above:] - threshold)
        return Rank(ascending[: size - beyond], size, threshold, shape, scale)

    @property
    def finest(self) -> float:
        """The smallest p-value that is a rank, and not an extrapolation."""
        return (self.size - len(self.sample) + 1) / (self.size + 1)

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return −log of the p-values (N,), strictly increasing with the score."""
        last = self.sample[-1]
        ranked = log_tails(self.sample, self.size, np.float64(1), np.minimum(scores, last))
        beyond = self._pareto_tail(np.maximum(scores, last)) - self._pareto_tail(last)
        return ranked + beyond

    def _pareto_tail(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        excess = (scores - self.threshold) / self.scale
        if self.shape < 1e-6:
            return excess
        return np.log1p(self.shape * excess) / self.shape

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of an .npz file, their names beginning with a name."""
        return {
            f"{name}_sample": self.sample,
            f"{name}_size": np.array(self.size),
            f"{name}_pareto": np.array([self.threshold, self.shape, self.scale]),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], name: str) -> "Rank":
        """Read what `to_arrays` returned."""
        threshold, shape, scale = (float(one) for one in arrays[f"{name}_pareto"])
        sample = arrays[f"{name}_sample"].astype(np.float64)
        return Rank(sample, int(arrays[f"{name}_size"]), threshold, shape, scale)


def _pareto(excess: NDArray[np.float64]) -> tuple[float, float]:
    """Return shape and scale of the generalised Pareto distribution of excesses, ascending."""
    size = len(excess)
    mean = excess.mean()
    weighted = (excess * (1 - (np.arange(size) + 0.65) / size)).mean()
    shape = 2 - mean / max(mean - 2 * weighted, 1e-12 * mean)
    shape = float(np.clip(shape, *_SHAPES))
    # With the mean kept, whatever the shape.
    return shape, float(mean * (1 - shape))
