"""Infill: bad bins replaced by a linear model fitted to the good bins.

Training finds the eigenspectra by iterative PCA (Yip et al. 2004a; Nicolaou et al. 2025,
Section 4). When a single spectrum is scored they are fixed: the mean spectrum's amplitude and the
eigenspectra's coefficients are solved jointly by ivar-weighted least squares with a small ridge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Relative to the mean of the normal matrix's diagonal: regularises a spectrum with a long gap and
# leaves a well-determined one unchanged.
_RIDGE = 1e-4


# "reassoc" allows vectorised sums; there is no NaN and no infinity here.
@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _weighted_sums(
    rows: NDArray[np.intp],
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    basis: NDArray[np.float64],
    normal: NDArray[np.float64],
    projection: NDArray[np.float64],
) -> None:
    """Fill normal (n, K, K) = Σ w b b' and projection (n, K) = Σ w flux b over the good bins."""
    size, bins = basis.shape
    weight = np.empty(bins)
    weighted = np.empty(bins)
    for i in range(len(rows)):
        row = rows[i]

        # Only ratios of weights matter; divided by the largest, they cannot overflow.
        largest = np.float64(ivar[row].max())
        for j in range(bins):
            weight[j] = ivar[row, j] / largest

        for a in range(size):
            for j in range(bins):
                weighted[j] = weight[j] * basis[a, j]

            total = 0.0
            for j in range(bins):
                total += weighted[j] * flux[row, j]
            projection[i, a] = total

            for b in range(a + 1):
                total = 0.0
                for j in range(bins):
                    total += weighted[j] * basis[b, j]
                normal[i, a, b] = total
                normal[i, b, a] = total


@njit(cache=True, nogil=True)
def _replace(
    rows: NDArray[np.intp],
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    basis: NDArray[np.float64],
    coefficients: NDArray[np.float64],
) -> None:
    """Replace bad bins by the linear model."""
    size, bins = basis.shape
    for i in range(len(rows)):
        for j in range(bins):
            if ivar[rows[i], j] <= 0.0:
                model = 0.0
                for a in range(size):
                    model += coefficients[i, a] * basis[a, j]
                flux[rows[i], j] = model


@dataclass(frozen=True, eq=False)
class Eigenspectra:
    """Linear model of unit-norm rest-frame spectra of inliers.

    Attributes
    ----------
    mean : (M,) float32
        Mean of unit-norm spectra.
    components : (K, M) float32
        Orthonormal eigenspectra, most important first; K may be 0.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.components.ndim != 2 or self.components.shape[1:] != self.mean.shape:
            raise ValueError(
                f"eigenspectra have shape {self.components.shape} and a mean of "
                f"{self.mean.shape}; expected (K, M) and (M,)"
            )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of eigenspectra.npz."""
        return {"mean": self.mean, "components": self.components}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Eigenspectra":
        """Read what `to_arrays` wrote."""
        return Eigenspectra(
            arrays["mean"].astype(np.float32), arrays["components"].astype(np.float32)
        )

    def infill(self, flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return flux (N, M) with the bins of ivar = 0 replaced; good bins are unchanged.

        Spectra without a bad bin, and those without a good one, are returned as they are. The
        unit of flux is free: the solution scales with it.
        """
        bad = ivar <= 0
        rows = np.flatnonzero(bad.any(axis=1) & ~bad.all(axis=1))
        if len(rows) == 0:
            return flux

        basis = np.vstack([self.mean, self.components]).astype(np.float64)
        size = len(basis)
        normal = np.empty((len(rows), size, size))
        projection = np.empty((len(rows), size))
        _weighted_sums(rows, flux, ivar, basis, normal, projection)

        ridge = _RIDGE * np.trace(normal, axis1=1, axis2=2) / size
        normal += ridge[:, None, None] * np.eye(size)
        coefficients = np.linalg.solve(normal, projection[:, :, None])[:, :, 0]

        filled = flux.copy()
        _replace(rows, filled, ivar, basis, coefficients)
        return filled
