"""Density: what the training latents say of each other, stored for scoring.

The local outlier factor (Breunig et al. 2000; Nicolaou et al. 2025, Section 5.2.2) of a new point
needs of each reference point its distance to its k-th neighbour and its local reachability
density; these are computed here once, with scikit-learn's neighbour search.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from scoring.density import LocalOutlierFactor

from .. import TrainingError
from .scored import Scored

# Spectra of like S/N that are compared with one another.
_LIKE_SNR = 1000
# scikit-learn's guard against a reachability of 0, which the scoring side shares.
_GUARD = 1e-10


@dataclass(frozen=True, eq=False)
class Reference:
    """Training latents without duplicates among the axes that span the space.

    Attributes
    ----------
    axes : (D,) int64
    latents : (R, L) float32
    k_distances : (R,) float32
        Distance to the k-th neighbour, itself not counted.
    densities : (R,) float32
        Local reachability densities.
    """

    axes: NDArray[np.int64]
    latents: NDArray[np.float32]
    k_distances: NDArray[np.float32]
    densities: NDArray[np.float32]

    def factor(self, k: int) -> LocalOutlierFactor:
        """Return the local outlier factor that scoring makes of it."""
        return LocalOutlierFactor(self.latents, self.k_distances, self.densities, k, self.axes)


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


def well_reconstructed(scored: Scored, share: float) -> NDArray[np.bool_]:
    """Return which spectra (N,) are left without the share reconstructed worst at like S/N.

    Parameters
    ----------
    scored : Scored
        Of N spectra; its wmse counts per good bin.
    share : float
        0 keeps all.
    """
    error = scored.wmse / scored.rows["coverage"]
    kept = np.ones(len(error), np.bool_)
    order = np.argsort(scored.rows["snr"], kind="stable")
    for group in np.array_split(order, max(1, len(order) // _LIKE_SNR)):
        kept[group] = error[group] <= np.quantile(error[group], 1 - share)
    return kept


def fit_density(
    latents: NDArray[np.float32], k: int, axes: NDArray[np.int64] | None = None
) -> Reference:
    """Compute the reference of a local outlier factor with k neighbours.

    Parameters
    ----------
    latents : (N, L) float32
    k : int
    axes : (D,) int64, optional
        The dimensions that span the space. Default: all.

    Raises
    ------
    TrainingError
        If there are no more than k distinct latents.
    """
    axes = np.arange(latents.shape[1]) if axes is None else axes
    # Duplicates would have infinite density.
    points, first = np.unique(latents[:, axes], axis=0, return_index=True)
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
    return Reference(
        axes, latents[first], k_distances.astype(np.float32), densities.astype(np.float32)
    )
