"""Density: what the training latents say of each other, stored for scoring.

The local outlier factor (Breunig et al. 2000; Nicolaou et al. 2025, Section 5.2.2) of a new point
needs of each reference point its distance to its k-th neighbour and its local reachability
density; these are computed here once, with scikit-learn's neighbour search.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from . import TrainingError

# scikit-learn's guard against a reachability of 0, which the scoring side shares.
_GUARD = 1e-10


@dataclass(frozen=True, eq=False)
class Reference:
    """Training latents without duplicates.

    Attributes
    ----------
    latents : (R, L) float32
    k_distances : (R,) float32
        Distance to the k-th neighbour, itself not counted.
    densities : (R,) float32
        Local reachability densities.
    """

    latents: NDArray[np.float32]
    k_distances: NDArray[np.float32]
    densities: NDArray[np.float32]


def informative_axes(log_variance: NDArray[np.float32], count: int | None) -> NDArray[np.int64]:
    """Return the latents that the posterior knows best, ascending, at most `count` of them.

    A latent of which a spectrum says little is mostly prior: in distances between spectra it
    adds noise, and a search for neighbours slows down steeply with each dimension.

    Parameters
    ----------
    log_variance : (N, L) float32
        Of the posterior of the training spectra.
    count : int, optional
        Default: all.
    """
    order = np.argsort(np.exp(log_variance.astype(np.float64)).mean(axis=0), kind="stable")
    return np.sort(order[:count])


def fit_density(latents: NDArray[np.float32], k: int) -> Reference:
    """Compute the reference of a local outlier factor with k neighbours.

    Raises
    ------
    TrainingError
        If there are no more than k distinct latents.
    """
    # Duplicates would have infinite density.
    points = np.unique(latents, axis=0)
    if len(points) <= k:
        raise TrainingError(
            f"{len(points)} distinct training latents for {k} neighbours; "
            "give more petals, or set density.neighbours lower"
        )
    search = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(points)
    distances, neighbours = search.kneighbors()
    k_distances = distances[:, -1]
    reach = np.maximum(distances, k_distances[neighbours]).mean(axis=1)
    densities = 1 / (reach + _GUARD)
    return Reference(points, k_distances.astype(np.float32), densities.astype(np.float32))
