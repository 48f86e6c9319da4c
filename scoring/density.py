"""Density: the local outlier factor of latents against those of the training sample.

LOF (Breunig et al. 2000) compares the density around a spectrum with that around its k nearest
neighbours; the negative outlier factor (NOF) is minus that ratio (Nicolaou et al. 2025,
Section 5.2.2). The k-distances and reachability densities of the training sample are computed once
and stored; a new spectrum needs only a search for its neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pykdtree.kdtree import KDTree

# Encoding a training spectrum again changes its latent by rounding only, about 1e-6. It must not
# count as its own neighbour, or it would seem less isolated than in training.
_SAME_POINT = 1e-5
# Networks that work give latents of a few units. The search adds up squares of differences in
# float32: up to this bound they are far from an overflow, beyond which it finds no neighbours.
_LARGEST_LATENT = 1e15
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
    """Return the NOF (N,) of latents (N, D), given k + 1 neighbours of each, nearest first.

    It is NaN where a neighbour is no row of the reference: the search marks so one not found.
    """
    nof = np.empty(len(latents), np.float32)
    for row in range(len(latents)):
        skipped_self = False
        reach = 0.0
        density = 0.0
        taken = 0
        for i in range(neighbours.shape[1]):
            other = neighbours[row, i]
            if taken == k or other >= len(reference):
                break

            # The distance in float64; the search computes in float32.
            square = 0.0
            for axis in range(latents.shape[1]):
                difference = np.float64(latents[row, axis]) - np.float64(reference[other, axis])
                square += difference * difference
            distance = np.sqrt(square)

            if distance < _SAME_POINT and not skipped_self:
                skipped_self = True
                continue
            reach += max(distance, np.float64(k_distances[other]))
            density += densities[other]
            taken += 1

        # The small number is scikit-learn's guard against a reach of 0.
        found = taken == k
        nof[row] = -(density / k) * (reach / k + 1e-10) if found else np.nan
    return nof


@dataclass(frozen=True, eq=False)
class LocalOutlierFactor:
    """Local outlier factor of new points with respect to a fixed reference sample.

    Attributes
    ----------
    latents : (R, L) float32
        Reference points without duplicates.
    k_distances : (R,) float32
        Distance of each to its k-th neighbour.
    densities : (R,) float32
        Local reachability density of each.
    k : int
        Number of neighbours; R must be larger.
    axes : (D,) int64
        The latents in which distances are measured.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or a reference point is not finite or beyond ±1e15.
    """

    latents: NDArray[np.float32]
    k_distances: NDArray[np.float32]
    densities: NDArray[np.float32]
    k: int
    axes: NDArray[np.int64]
    _points: NDArray[np.float32] = field(init=False, repr=False)
    _tree: KDTree = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.k < len(self.latents):
            raise ValueError(
                f"k is {self.k} with {len(self.latents)} reference latents; "
                "expected at least 1 and fewer than the latents"
            )
        lengths = len(self.k_distances), len(self.densities)
        if lengths != (len(self.latents), len(self.latents)):
            raise ValueError(
                f"k_distances and densities have {lengths[0]} and {lengths[1]} values with "
                f"{len(self.latents)} reference latents; they must agree"
            )
        object.__setattr__(self, "_points", self._chosen(self.latents))
        if not _searchable(self._points).all():
            raise ValueError(
                "a reference latent is not finite or beyond ±1e15: the encoder does not work; "
                "train again"
            )
        object.__setattr__(self, "_tree", KDTree(self._points, leafsize=_LEAF_SIZE))

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of density.npz; k is in the manifest."""
        return {
            "axes": self.axes,
            "latents": self.latents,
            "k_distances": self.k_distances,
            "densities": self.densities,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]], k: int) -> "LocalOutlierFactor":
        """Read what `to_arrays` wrote."""
        return LocalOutlierFactor(
            np.ascontiguousarray(arrays["latents"], dtype=np.float32),
            arrays["k_distances"].astype(np.float32),
            arrays["densities"].astype(np.float32),
            k,
            arrays["axes"].astype(np.int64),
        )

    def _chosen(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.ascontiguousarray(latents[:, self.axes])

    def nof(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the negative outlier factor of each latent.

        Parameters
        ----------
        latents : (N, L) float32

        Returns
        -------
        (N,) float32
            Smaller is more anomalous; inliers have about −1. One reference point at distance 0
            is skipped, so that a training spectrum gets the NOF it had in training. NaN where a
            latent is not finite or beyond ±1e15: such a point has no neighbours.
        """
        points = self._chosen(latents)
        nof = np.full(len(points), np.nan, np.float32)
        searched = _searchable(points)
        if searched.any():
            points = points[searched]
            _, neighbours = self._tree.query(points, k=self.k + 1)
            nof[searched] = _outlier_factor(
                points, self._points, neighbours, self.k_distances, self.densities, self.k
            )
        return nof

    def nearest(
        self, latents: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the distances to the nearest reference points, and their rows.

        Parameters
        ----------
        latents : (N, L) float32
        count : int
            From 1 to R.

        Returns
        -------
        distance : (N, count) float64
            Ascending; a reference point at distance 0 is not skipped. NaN where a latent is not
            finite or beyond ±1e15.
        row : (N, count) int64
            −1 where the distance is NaN.

        Raises
        ------
        ValueError
            If count is not from 1 to R.
        """
        if not 1 <= count <= len(self._points):
            raise ValueError(
                f"count is {count} with {len(self._points)} reference latents; "
                "expected at least 1, and no more than the latents"
            )
        points = self._chosen(latents)
        distance = np.full((len(points), count), np.nan)
        row = np.full((len(points), count), -1, np.int64)

        searched = _searchable(points)
        if searched.any():
            points = points[searched]
            _, found = self._tree.query(points, k=count)
            found = found.reshape(len(points), count).astype(np.int64)

            # The distance in float64; the search computes in float32.
            difference = points[:, None].astype(np.float64) - self._points[found]
            exact = np.sqrt((difference**2).sum(axis=2))
            order = np.argsort(exact, axis=1, kind="stable")
            distance[searched] = np.take_along_axis(exact, order, axis=1)
            row[searched] = np.take_along_axis(found, order, axis=1)
        return distance, row


def _searchable(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    # NaN compares as false.
    return np.all(np.abs(points) <= _LARGEST_LATENT, axis=1)
