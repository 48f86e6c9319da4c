"""Class tail: how rare a pooled tail probability is among the inliers of one class.

Two per cent of the spectra, stars and quasars, would otherwise spend the flags of all: the model
has seen few of them. Within a class, −log of the pooled tail probability follows a generalised
Pareto distribution (Pickands 1975) whose scale is a power of S/N. For the pooled inliers the shape
is 0, the scale 1 and the power 0. A small class borrows strength: its parameters have normal
priors around these. A few dozen spectra leave them uncertain, and the tail probability is the mean
over their posterior: the best parameters alone would flag too many of the class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

_FEWEST = 5
# More spectra do not change the parameters of a class.
_MOST = 4000
_PIVOT = np.log(10.0)
# Standard deviations of the priors of shape, log scale and power.
_PRIOR = np.array([0.5, 1.0, 0.5])
# The grid of the posterior in standard deviations, along the shape and across it.
_FARTHEST = 3.0
_ALONG = (np.arange(9) + 0.5) / 9
_ACROSS = np.array(list(product((-3.0, -1.5, 0.0, 1.5, 3.0), repeat=2)))
_ROUNDS = 11
_LEAST_WEIGHT = 1e-3


@njit(cache=True, nogil=True)
def _tail(ratio: float, shape: float) -> float:
    """Return −log of the tail probability of a generalised Pareto distribution of scale 1."""
    return ratio if shape < 1e-6 else np.log1p(shape * ratio) / shape


@njit(cache=True, nogil=True)
def _mean_tails(
    parameters: NDArray[np.float64],
    log_weights: NDArray[np.float64],
    offset: NDArray[np.float64],
    pooled: NDArray[np.float64],
) -> NDArray[np.float64]:
    mean = np.empty(len(pooled))
    tails = np.empty(len(parameters))
    for row in range(len(pooled)):
        for k in range(len(parameters)):
            shape, log_scale, power = parameters[k]
            ratio = pooled[row] * np.exp(-(log_scale + power * offset[row]))
            tails[k] = _tail(ratio, shape) - log_weights[k]

        # Factoring out the largest probability prevents that all of them vanish.
        least = tails.min()
        mean[row] = least - np.log(np.exp(least - tails).sum())
    return mean


@njit(cache=True, nogil=True)
def _log_posteriors(
    parameters: NDArray[np.float64],
    offset: NDArray[np.float64],
    values: NDArray[np.float64],
    inlier: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return the log posterior; the values of those that are not inliers are lower limits."""
    found = np.empty(len(parameters))
    for k in range(len(parameters)):
        shape, log_scale, power = parameters[k]
        found[k] = -0.5 * np.sum((parameters[k] / _PRIOR) ** 2)
        for row in range(len(values)):
            log_scales = log_scale + power * offset[row]
            tail = _tail(values[row] * np.exp(-log_scales), shape)
            found[k] -= tail + inlier[row] * (shape * tail + log_scales)
    return found


@dataclass(frozen=True, eq=False)
class ClassTail:
    """Distribution of −log of the pooled tail probability within a class.

    Attributes
    ----------
    size : int
        Spectra that it was fitted to.
    parameters : (K, 3) float64
        Points of the posterior: the shape of the generalised Pareto distribution, not negative,
        the logarithm of its scale at S/N 10, and the power of S/N in the scale.
    weights : (K,) float64
        Of the points; their sum is 1.
    """

    size: int
    parameters: NDArray[np.float64]
    weights: NDArray[np.float64]

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

        # The grid moves to the posterior and shrinks to its width, by half a round at most.
        covariance = np.diag(_PRIOR**2)
        grid, weights = _posterior(np.zeros(3), covariance, offset, values, inlier)
        for _ in range(_ROUNDS):
            centre = weights @ grid
            deviation = grid - centre
            covariance = (deviation * weights[:, None]).T @ deviation + covariance / 4
            grid, weights = _posterior(centre, covariance, offset, values, inlier)

        kept = weights >= _LEAST_WEIGHT
        return ClassTail(size, grid[kept], weights[kept] / weights[kept].sum())

    def __call__(
        self, log_snr: NDArray[np.float64], pooled: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return −log of the tail probability (N,) within the class, given the pooled one's."""
        return _mean_tails(self.parameters, np.log(self.weights), log_snr - _PIVOT, pooled)

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of an .npz file, their names beginning with a name."""
        return {
            f"{name}_size": np.array(self.size),
            f"{name}_parameters": self.parameters,
            f"{name}_weights": self.weights,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], name: str) -> "ClassTail | None":
        """Read what `to_arrays` returned; None where there is no such class."""
        if f"{name}_size" not in arrays:
            return None
        parameters = np.ascontiguousarray(arrays[f"{name}_parameters"], dtype=np.float64)
        weights = arrays[f"{name}_weights"].astype(np.float64)
        return ClassTail(int(arrays[f"{name}_size"]), parameters, weights)


def _posterior(
    centre: NDArray[np.float64],
    covariance: NDArray[np.float64],
    offset: NDArray[np.float64],
    values: NDArray[np.float64],
    inlier: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a grid of parameters (K, 3), and the weight (K,) of the posterior at each point.

    The shape alone determines the first axis, along which the grid begins at shape 0 at the least.
    """
    axes = np.linalg.cholesky(covariance)
    least = max(-_FARTHEST, -centre[0] / axes[0, 0])
    along = np.repeat(least + (_FARTHEST - least) * _ALONG, len(_ACROSS))
    across = np.tile(_ACROSS, (len(_ALONG), 1))
    grid = centre + np.column_stack([along, across]) @ axes.T

    log_posteriors = _log_posteriors(grid, offset, values, inlier)
    weights = np.exp(log_posteriors - log_posteriors.max())
    return grid, weights / weights.sum()
