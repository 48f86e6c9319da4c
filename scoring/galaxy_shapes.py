"""Galaxy shapes: how far a reconstruction is from those of galaxies.

The networks also learn stars and quasars. They therefore reconstruct a broad line in a spectrum
that redrock takes for a galaxy, and its residual is small. The reconstructions of galaxies differ
from their mean in few ways: what is left of a reconstruction beyond these is no galaxy's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .residual import ANY_ORDER


@njit(cache=True, nogil=True, fastmath=ANY_ORDER)
def _square_beyond(difference: NDArray[np.float64], axes: NDArray[np.float64]) -> float:
    """Return the square of what a difference (M,) has beyond orthonormal axes (K, M)."""
    square = 0.0
    for j in range(len(difference)):
        square += difference[j] * difference[j]

    # Squares of orthonormal parts add up.
    for k in range(len(axes)):
        axis = axes[k]
        along = 0.0
        for j in range(len(difference)):
            along += difference[j] * axis[j]
        square -= along * along
    return square


@njit(cache=True, nogil=True)
def _distance(
    reconstruction: NDArray[np.float32],
    mean: NDArray[np.float64],
    axes: NDArray[np.float64],
    typical: float,
) -> NDArray[np.float32]:
    distance = np.empty(len(reconstruction), np.float32)
    for row in range(len(reconstruction)):
        square = _square_beyond(reconstruction[row] - mean, axes)
        distance[row] = np.sqrt(max(square, 0.0)) / typical
    return distance


@dataclass(frozen=True, eq=False)
class GalaxyShapes:
    """Mean and principal components of the reconstructions of galaxies.

    Attributes
    ----------
    mean : (M,) float32
    axes : (M, K) float32
        Orthonormal columns.
    typical : float
        Median distance of galaxies.
    features : (2, P) float32
        Lines and breaks of young and of old galaxies, without their continuum, as
        `scoring.second_galaxy` takes them.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    typical: float
    features: NDArray[np.float32]

    def distance(self, reconstruction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (N,) float32 of reconstructions (N, M) from the axes.

        In units of the typical one; larger is more anomalous, galaxies have about 1.
        """
        mean, axes = self.mean.astype(np.float64), self.axes.T.astype(np.float64, order="C")
        return _distance(reconstruction, mean, axes, self.typical)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of galaxies.npz."""
        typical = np.array(self.typical)
        return {
            "mean": self.mean,
            "axes": self.axes,
            "typical": typical,
            "features": self.features,
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "GalaxyShapes":
        """Read what `to_arrays` wrote."""
        return GalaxyShapes(
            arrays["mean"].astype(np.float32),
            np.ascontiguousarray(arrays["axes"], dtype=np.float32),
            float(arrays["typical"]),
            np.ascontiguousarray(arrays["features"], dtype=np.float32),
        )
