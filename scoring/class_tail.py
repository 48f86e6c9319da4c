"""Class tail: how rare a pooled tail probability is among the inliers of one class.

Two per cent of the spectra, stars and quasars, would otherwise spend the flags of all: the model
has seen few of them. Within a class, −log of the pooled tail probability follows a generalised
Pareto distribution (Pickands 1975) whose scale is a power of S/N. For the pooled inliers the shape
is 0, the scale 1 and the power 0. A small class borrows strength: its parameters have normal
priors around these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

_FEWEST = 5
# More spectra do not change the parameters of a class.
_MOST = 4000
_PIVOT = np.log(10.0)
# Standard deviations of the priors of shape, log scale and power.
_PRIOR = np.array([0.5, 1.0, 0.5])
_STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_ROUNDS = 12


@dataclass(frozen=True)
class ClassTail:
    """Distribution of −log of the pooled tail probability within a class.

    Attributes
    ----------
    size : int
        Spectra that it was fitted to.
    shape : float
        Of the generalised Pareto distribution, not negative.
    scale : float
        At S/N 10.
    power : float
        Of S/N.
    """

    size: int
    shape: float
    scale: float
    power: float

    @staticmethod
    def fit(
        log_snr: NDArray[np.float64], pooled: NDArray[np.float64], trusted: float = 1.0
    ) -> "ClassTail | None":
        """Fit to a class; None if it has too few spectra.

        Parameters
        ----------
        log_snr, pooled : (n,) float64
            Of the class's spectra.
        trusted : float
            Share of them, the smallest values, that is trusted to be inliers'. Of the rest only
            the number is used.
        """
        size = len(pooled)
        if size < _FEWEST:
            return None
        every = -(-size // _MOST)
        offset, values = log_snr[::every] - _PIVOT, pooled[::every]
        largest = np.quantile(values, trusted)
        inlier, values = values <= largest, np.minimum(values, largest)

        # The highest posterior on a grid around the best so far, which gets finer.
        best, width = np.zeros(3), 2 * _PRIOR
        for _ in range(_ROUNDS):
            grid = best + width * np.array(list(product(_STEPS, repeat=3)))
            grid = grid[grid[:, 0] >= 0]
            best = grid[np.argmax([_log_posterior(one, offset, values, inlier) for one in grid])]
            width = width * 0.6
        return ClassTail(size, float(best[0]), float(np.exp(best[1])), float(best[2]))

    def __call__(
        self, log_snr: NDArray[np.float64], pooled: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return −log of the tail probability (N,) within the class, given the pooled one's."""
        scale = self.scale * np.exp(self.power * (log_snr - _PIVOT))
        return _tail(pooled / scale, self.shape)

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of an .npz file, their names beginning with a name."""
        parameters = np.array([self.shape, self.scale, self.power])
        return {f"{name}_size": np.array(self.size), f"{name}_parameters": parameters}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], name: str) -> "ClassTail | None":
        """Read what `to_arrays` returned; None where there is no such class."""
        if f"{name}_size" not in arrays:
            return None
        shape, scale, power = (float(one) for one in arrays[f"{name}_parameters"])
        return ClassTail(int(arrays[f"{name}_size"]), shape, scale, power)


def _tail(ratio: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    return ratio if shape < 1e-6 else np.log1p(shape * ratio) / shape


def _log_posterior(
    parameters: NDArray[np.float64],
    offset: NDArray[np.float64],
    values: NDArray[np.float64],
    inlier: NDArray[np.bool_],
) -> float:
    """Return the log posterior; the values of those that are not inliers are lower limits."""
    shape, log_scale, power = parameters
    log_scales = log_scale + power * offset
    tail = _tail(values * np.exp(-log_scales), shape)
    likelihood = -(tail + inlier * (shape * tail + log_scales)).sum()
    return float(likelihood - 0.5 * np.sum((parameters / _PRIOR) ** 2))
