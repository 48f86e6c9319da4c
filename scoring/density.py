"""Density: the local outlier factor of latents against those of the training sample.

LOF (Breunig et al. 2000) compares the density around a spectrum with that around its k nearest
neighbours; the negative outlier factor (NOF) is minus that ratio (Nicolaou et al. 2025,
Section 5.2.2). The training sample's part is computed once and stored: for a new spectrum only
its neighbours are looked up.
"""

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pykdtree.kdtree import KDTree

# Encoding a training spectrum again moves its latent by rounding only, about 1e-6. It must not
# count as its own neighbour, or it would look less isolated than it did in training.
_SAME_POINT = 1e-5
_LEAF_SIZE = 32


@njit(cache=True, nogil=True)
def _outlier_factor(
    latents: NDArray[np.float32],
    reference: NDArray[np.float32],
    neighbours: NDArray[np.uint32],
    k_distances: NDArray[np.float32],
    densities: NDArray[np.float32],
    k: int,
) -> NDArray[np.float32]:
    nof = np.empty(len(latents), np.float32)
    for row in range(len(latents)):
        first = 0
        reach = 0.0
        density = 0.0
        taken = 0
        for i in range(neighbours.shape[1]):
            if taken == k:
                break
            other = neighbours[row, i]
            square = 0.0
            for axis in range(latents.shape[1]):
                difference = np.float64(latents[row, axis]) - np.float64(reference[other, axis])
                square += difference * difference
            distance = np.sqrt(square)
            if distance < _SAME_POINT and first == 0:
                first = 1
                continue
            reach += max(distance, np.float64(k_distances[other]))
            density += densities[other]
            taken += 1
        # The small number is scikit-learn's guard against a reach of 0.
        nof[row] = -(density / k) * (reach / k + 1e-10)
    return nof


@dataclass(frozen=True, eq=False)
class LocalOutlierFactor:
    """LOF with novelty: new points against a fixed reference sample.

    Attributes
    ----------
    latents : (R, L) float32
        Reference points without duplicates.
    k_distances : (R,) float32
        Distance of each to its k-th neighbour.
    densities : (R,) float32
        Local reachability density of each.
    k : int
        Neighbours that count; R must be larger.
    axes : (D,) int64, optional
        The dimensions that span the space. Default: all L.
    """

    latents: NDArray[np.float32]
    k_distances: NDArray[np.float32]
    densities: NDArray[np.float32]
    k: int
    axes: NDArray[np.int64] | None = None
    _points: NDArray[np.float32] = field(init=False, repr=False)
    _tree: KDTree = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.k < len(self.latents):
            raise ValueError(
                f"k is {self.k} with {len(self.latents)} reference latents; "
                "expected at least 1 and fewer than the latents"
            )
        object.__setattr__(self, "_points", self._chosen(self.latents))
        object.__setattr__(self, "_tree", KDTree(self._points, leafsize=_LEAF_SIZE))

    def _chosen(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(latents if self.axes is None else latents[:, self.axes])

    def nof(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the negative outlier factor of each latent.

        Parameters
        ----------
        latents : (N, L) float32

        Returns
        -------
        (N,) float32
            Smaller is more anomalous; inliers have about −1. A reference point at distance 0
            is left out, so that a training spectrum gets the NOF it had in training.
        """
        if len(latents) == 0:
            return np.empty(0, np.float32)
        points = self._chosen(latents)
        _, neighbours = self._tree.query(points, k=self.k + 1)
        return _outlier_factor(
            points, self._points, neighbours, self.k_distances, self.densities, self.k
        )
