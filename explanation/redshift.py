"""Redshift: at which redshift the model reconstructs a spectrum best.

All redshifts of the model's range are tried, redrock's own candidates first. The number of bins
with information changes with the redshift, so χ² is compared per good bin.
"""

import numpy as np
from numpy.typing import NDArray

from .case import Case, Reconstructor
from .rest_frame import resample_at

STEP = 4e-4
"""Of the grid, in ln(1 + z)."""
_FINER = (2e-4, 1e-4, 5e-5, 2.5e-5)
_MINIMA = 3
_NEAR = 24
"""Redshifts of every second step whose neighbours are tried too."""
# Two minima are further apart than this in ln(1 + z), 1000 km/s.
_APART = 3.3e-3
_BLOCK = 128
# A redshift at which fewer bins are good is no redshift.
_LEAST_COVERAGE = 0.5


class RedshiftScan:
    """Scan the redshift range of a model.

    Parameters
    ----------
    edges : (M + 1,) float64
        Of the rest-frame bins, Å.
    redshift_range : (float, float)
    """

    def __init__(self, edges: NDArray[np.float64], redshift_range: tuple[float, float]) -> None:
        self._edges = edges
        low, high = np.log1p(redshift_range)
        grid = np.append(np.expm1(np.arange(low, high - STEP / 2, STEP)), redshift_range[1])
        self._grid = np.clip(grid, *redshift_range)
        self._range = redshift_range

    def __call__(self, case: Case, reconstruct: Reconstructor) -> list[float]:
        """Return the best redshifts of a spectrum, the best first, each 1000 km/s from others."""
        inside = (case.candidates >= self._range[0]) & (case.candidates <= self._range[1])
        z = np.concatenate([case.candidates[inside], self._grid[::2], self._grid[-1:]])
        chi2 = self.chi2(case, reconstruct, z)

        # A line is as wide as two steps: the points between are near the best of these.
        near = np.sort(np.argsort(chi2, kind="stable")[:_NEAR])
        nearest = np.searchsorted(self._grid, z[near])
        between = self._grid[np.unique(np.clip([nearest - 1, nearest + 1], 0, len(self._grid) - 1))]
        z = np.concatenate([z, between])
        chi2 = np.concatenate([chi2, self.chi2(case, reconstruct, between)])

        best: list[tuple[float, float]] = []
        for _ in range(_MINIMA):
            k = int(chi2.argmin())
            if not np.isfinite(chi2[k]):
                break
            best.append(self._refined(case, reconstruct, z[k], chi2[k]))
            chi2[np.abs(np.log1p(z) - np.log1p(z[k])) < _APART] = np.inf
        best.sort(key=lambda one: one[1])
        return [one for one, _ in best]

    def chi2(
        self, case: Case, reconstruct: Reconstructor, z: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return χ² per good bin (K,) at each redshift; infinite where unknown.

        It is unknown where too few bins are good, or the model gives no number.
        """
        parts: list[NDArray[np.float64]] = []
        for start in range(0, len(z), _BLOCK):
            flux, ivar = resample_at(
                case.pixel_flux, case.pixel_ivar, z[start : start + _BLOCK], self._edges
            )
            found = reconstruct(flux, ivar)
            known = (found.good >= _LEAST_COVERAGE * flux.shape[1]) & np.isfinite(found.chi2)
            parts.append(np.where(known, found.chi2 / np.maximum(found.good, 1), np.inf))
        return np.concatenate(parts)

    def _refined(
        self, case: Case, reconstruct: Reconstructor, z: float, chi2: float
    ) -> tuple[float, float]:
        for step in _FINER:
            tried = np.clip(np.expm1(np.log1p(z) + np.array([-step, step])), *self._range)
            found = self.chi2(case, reconstruct, tried)
            k = int(found.argmin())
            if found[k] < chi2:
                z, chi2 = float(tried[k]), float(found[k])
        return z, chi2
