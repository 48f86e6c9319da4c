"""Scatter: by how much the residuals of inliers exceed the noise, and where.

Sky lines leave residuals at observed wavelengths, in proportion to the noise. The model errs at
rest-frame wavelengths, in proportion to the flux. Both belong to the error of a bin when its
residual is compared with those of inliers.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from model_store.grid import RestGrid
from outcrop.spectra import WAVE

_STEP = 4.0
"""Width of a cell of observed wavelengths, Å; about that of a bin at z = 0."""
_CELLS = int((WAVE["brz"][-1] - WAVE["brz"][0]) / _STEP) + 1
# With fewer bins of the sample in it, a cell has no scatter of its own.
_LEAST = 30
# The largest squared residual that counts, in units of its variance: an anomaly says nothing here.
_CLIP = 16.0
_ROUNDS = 6


@njit(cache=True, nogil=True)
def _cell(wave: float, first: float, cells: int) -> int:
    return min(max(int((wave - first) / _STEP), 0), cells - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    model: NDArray[np.float32],
    z: NDArray[np.float64],
    wave: NDArray[np.float64],
    first: float,
    sky: NDArray[np.float64],
    relative: NDArray[np.float64],
    of_sky: bool,
) -> NDArray[np.float64]:
    """Return the excess variance by cell, or by bin over the squared S/N; 0 where there is none."""
    size = len(sky) if of_sky else len(relative)
    excess = np.zeros(size)
    weights = np.zeros(size)
    number = np.zeros(size)
    for row in range(len(flux)):
        for j in range(len(wave)):
            if not ivar[row, j] > 0.0:
                continue
            weight = np.float64(ivar[row, j])
            difference = np.float64(flux[row, j]) - np.float64(model[row, j])
            square = difference * difference * weight
            brightness = np.float64(model[row, j]) ** 2 * weight
            cell = _cell(wave[j] * (1.0 + z[row]), first, len(sky))

            of_model = relative[j] * brightness
            variance = 1.0 + sky[cell] + of_model
            square = min(square, _CLIP * variance)
            place = cell if of_sky else j
            scale = 1.0 if of_sky else brightness
            rest = 1.0 + (of_model if of_sky else sky[cell])
            excess[place] += (square - rest) * scale / (variance * variance)
            weights[place] += scale * scale / (variance * variance)
            number[place] += 1.0

    for i in range(size):
        few = number[i] < _LEAST or not weights[i] > 0.0
        excess[i] = 0.0 if few else max(excess[i] / weights[i], 0.0)
    return excess


@njit(cache=True, nogil=True, error_model="numpy")
def _reduced(
    ivar: NDArray[np.float32],
    model: NDArray[np.float32],
    z: NDArray[np.float64],
    wave: NDArray[np.float64],
    first: float,
    sky: NDArray[np.float64],
    relative: NDArray[np.float64],
) -> NDArray[np.float32]:
    reduced = np.zeros_like(ivar)
    for row in range(len(ivar)):
        for j in range(len(wave)):
            weight = np.float64(ivar[row, j])
            brightness = np.float64(model[row, j]) ** 2 * weight
            cell = _cell(wave[j] * (1.0 + z[row]), first, len(sky))
            reduced[row, j] = weight / (1.0 + sky[cell] + relative[j] * brightness)
    return reduced


@dataclass(frozen=True, eq=False)
class InlierScatter:
    """Variance of inliers' residuals beyond the noise.

    Attributes
    ----------
    wave : (M,) float64
        Centres of the rest-frame bins, Å.
    sky : (K,) float64
        By observed wavelength, in cells of 4 Å from 3600 Å on; in units of the noise's variance.
    model : (M,) float64
        By rest-frame bin, in units of the squared reconstruction.
    """

    wave: NDArray[np.float64]
    sky: NDArray[np.float64]
    model: NDArray[np.float64]

    @staticmethod
    def fit(
        flux: NDArray[np.float32],
        ivar: NDArray[np.float32],
        model: NDArray[np.float32],
        z: NDArray[np.float64],
        grid: RestGrid,
    ) -> "InlierScatter":
        """Measure it on C inliers that were not trained on; a few anomalies do no harm.

        Parameters
        ----------
        flux, ivar, model : (C, M) float32
            Prepared spectra and their robust reconstructions.
        z : (C,) float64
        grid : RestGrid
        """
        sky, relative = np.zeros(_CELLS), np.zeros(grid.bins)
        sample = flux, ivar, model, z.astype(np.float64), grid.wave, float(WAVE["brz"][0])
        # Each in turn, given the other.
        for _ in range(_ROUNDS):
            sky = _moments(*sample, sky, relative, True)
            relative = _moments(*sample, sky, relative, False)
        return InlierScatter(grid.wave, sky, relative)

    def reduced(
        self, ivar: NDArray[np.float32], model: NDArray[np.float32], z: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the inverse variance (N, M) of residuals, given that of the noise and models."""
        first = float(WAVE["brz"][0])
        return _reduced(ivar, model, z.astype(np.float64), self.wave, first, self.sky, self.model)
