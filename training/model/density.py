"""Density: the reference sample of the local outlier factor, chosen among the training latents.

The local outlier factor (Breunig et al. 2000; Nicolaou et al. 2025, Section 5.2.2) of a new point
needs, for each reference point, the distance to its k-th neighbour and its local reachability
density. Both are computed here once, with scikit-learn's neighbour search.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from scoring.density import LocalOutlierFactor

from .. import TrainingError
from .scored import Scored

# Spectra of similar S/N that are compared with each other.
_LIKE_SNR = 1000
# scikit-learn's guard against a reachability of 0; `scoring.density` has the same.
_GUARD = 1e-10


def informative_axes(log_variance: NDArray[np.float32], count: int | None) -> NDArray[np.int64]:
    """Return the indices of the latents with the narrowest posterior, ascending, at most `count`.

    A latent that the spectra hardly constrain is mostly prior. In distances between spectra it adds
    noise, and each dimension slows down the search for neighbours.

    Parameters
    ----------
    log_variance : (N, L) float32
        Log variance of the posterior, for N training spectra.
    count : int, optional
        Default: all.
    """
    order = np.argsort(np.exp(log_variance.astype(np.float64)).mean(axis=0), kind="stable")
    return np.sort(order[:count])


def well_reconstructed(scored: Scored, share: float) -> NDArray[np.bool_]:
    """Return which spectra (N,) remain without the worst reconstructed share at similar S/N.

    Parameters
    ----------
    scored : Scored
        N spectra; their wmse is compared per good bin.
    share : float
        The share to leave out; 0 keeps all.
    """
    error = scored.wmse / scored.rows["coverage"]
    kept = np.ones(len(error), np.bool_)
    for group in groups_of_like_snr(scored.rows["snr"]):
        kept[group] = error[group] <= np.quantile(error[group], 1 - share)
    return kept


def groups_of_like_snr(snr: NDArray[np.float32]) -> list[NDArray[np.intp]]:
    """Return the indices of S/N (N,) in groups of some 1000 neighbours."""
    order = np.argsort(snr, kind="stable")
    return np.array_split(order, max(1, len(order) // _LIKE_SNR))


def distinct(latents: NDArray[np.float32], axes: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the first row of each point that latents (N, L) have in the given axes (D,).

    The rows are in the order of the points: chosen once more among these rows, all are left, in the
    same order.
    """
    return np.unique(latents[:, axes], axis=0, return_index=True)[1]


def fit_local_outlier_factor(
    latents: NDArray[np.float32], k: int, axes: NDArray[np.int64] | None = None
) -> LocalOutlierFactor:
    """Fit a local outlier factor with k neighbours; duplicate latents count once.

    Parameters
    ----------
    latents : (N, L) float32
    k : int
    axes : (D,) int64, optional
        The latents in which distances are measured. Default: all.

    Returns
    -------
    LocalOutlierFactor
        Its reference points are the `distinct` ones.

    Raises
    ------
    TrainingError
        If there are no more than k distinct latents.
    """
    axes = np.arange(latents.shape[1]) if axes is None else axes
    # Duplicates would have infinite density.
    index = distinct(latents, axes)
    points = latents[index][:, axes]
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

    return LocalOutlierFactor(
        latents[index], k_distances.astype(np.float32), densities.astype(np.float32), k, axes
    )
