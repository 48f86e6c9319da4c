"""Infill: bad bins replaced by what the good bins imply, through frozen eigenspectra.

Training finds the eigenspectra by iterative PCA (Yip et al. 2004a; Nicolaou et al. 2025,
Section 4). A spectrum that is served cannot iterate, so the mean spectrum's amplitude and the
eigenspectra's coefficients are solved jointly by ivar-weighted least squares with a small ridge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Relative to the mean of the normal matrix's diagonal: keeps a spectrum with a long gap solvable
# without moving a well-determined one.
_RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Eigenspectra:
    """The linear model of ordinary unit-norm rest-frame spectra.

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

    def infill(self, flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return flux (N, M) with the bins of ivar = 0 replaced; good bins are untouched.

        Spectra without a bad bin, and those without a good one, are returned as they are. The
        unit of flux is free: the solution scales with it.
        """
        bad = ivar <= 0
        rows = np.flatnonzero(bad.any(axis=1) & ~bad.all(axis=1))
        if len(rows) == 0:
            return flux
        basis = np.vstack([self.mean, self.components]).astype(np.float64)
        # Only ratios of weights matter; scaled so, neither huge nor tiny units can overflow.
        weight = ivar[rows].astype(np.float64)
        weight /= weight.max(axis=1, keepdims=True)
        scale = np.abs(flux[rows], where=~bad[rows], out=np.zeros_like(weight)).max(axis=1)
        scale[scale == 0] = 1.0
        weighted_flux = weight * (flux[rows] / scale[:, None])
        first, second = np.triu_indices(len(basis))
        packed = weight @ (basis[first] * basis[second]).T
        normal = np.empty((len(rows), len(basis), len(basis)))
        normal[:, first, second] = packed
        normal[:, second, first] = packed
        ridge = _RIDGE * np.trace(normal, axis1=1, axis2=2) / len(basis)
        normal += ridge[:, None, None] * np.eye(len(basis))
        coefficients = np.linalg.solve(normal, (weighted_flux @ basis.T)[:, :, None])[:, :, 0]
        model = (coefficients @ basis) * scale[:, None]
        filled = flux.copy()
        filled[rows] = np.where(bad[rows], model, flux[rows])
        return filled
