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


@njit(cache=True, nogil=True)
def _distance(
    reconstruction: NDArray[np.float32],
    mean: NDArray[np.float32],
    axes: NDArray[np.float32],
    typical: float,
) -> NDArray[np.float32]:
    rows, bins = reconstruction.shape
    distance = np.empty(rows, np.float32)
    along = np.empty(axes.shape[1])
    for row in range(rows):
        # The rest of what is left after the axes: squares of orthonormal parts add up.
        along[:] = 0.0
        square = 0.0
        for j in range(bins):
            difference = np.float64(reconstruction[row, j]) - np.float64(mean[j])
            square += difference * difference
            for k in range(len(along)):
                along[k] += difference * axes[j, k]

        for k in range(len(along)):
            square -= along[k] * along[k]
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
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    typical: float

    def distance(self, reconstruction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (N,) float32 of reconstructions (N, M) from the axes.

        In units of the typical one; larger is more anomalous, galaxies have about 1.
        """
        return _distance(reconstruction, self.mean, self.axes, self.typical)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of galaxies.npz."""
        return {"mean": self.mean, "axes": self.axes, "typical": np.array(self.typical)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "GalaxyShapes":
        """Read what `to_arrays` wrote."""
        return GalaxyShapes(
            arrays["mean"].astype(np.float32),
            np.ascontiguousarray(arrays["axes"], dtype=np.float32),
            float(arrays["typical"]),
        )
