"""Case: one spectrum, and all that the hypotheses look at.

Hypotheses propose corrected spectra; `Reconstructor` says how well the model reconstructs them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outcrop.spectra import CAMERAS, WAVE, camera_of
from scoring.preprocess import Prepared, Preprocessor, RestFrame
from scoring.scorer import Scorer

OBSERVED = WAVE["brz"]
STELLAR = 2.5e-3
"""Stars have redshifts nearer 0 than this."""


@dataclass(frozen=True, eq=False)
class Case:
    """A spectrum that is to be explained.

    Attributes
    ----------
    z, snr, coverage : float
    spectype : str
    candidates : (K,) float64
        redrock's next best redshifts.
    pixel_flux, pixel_ivar : (7781,) float32
        Observed frame; flux filled where ivar = 0.
    edges : (M + 1,) float64
        Of the rest-frame bins, Å.
    flux, ivar : (M,) float32
        Rest frame at z, in units of the norm of the flux; ivar = 0 in bad bins.
    norm : float
    plain, robust : (M,) float32
        Reconstructions of flux.
    """

    z: float
    snr: float
    coverage: float
    spectype: str
    candidates: NDArray[np.float64]
    pixel_flux: NDArray[np.float32]
    pixel_ivar: NDArray[np.float32]
    edges: NDArray[np.float64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    norm: float
    plain: NDArray[np.float32]
    robust: NDArray[np.float32]

    @property
    def good(self) -> NDArray[np.bool_]:
        """(M,) bool: bins with information."""
        return self.ivar > 0

    @property
    def wave(self) -> NDArray[np.float64]:
        """(M,) float64: centres of the rest-frame bins, Å."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def step(self) -> float:
        """Width of a bin, rest frame, Å."""
        return float(self.edges[1] - self.edges[0])

    @property
    def observed(self) -> NDArray[np.float64]:
        """(M,) float64: observed wavelengths of the bins, Å."""
        return self.wave * (1 + self.z)

    @property
    def window(self) -> tuple[float, float]:
        """Observed wavelengths that the bins span, Å."""
        first, last = self.edges[[0, -1]] * (1 + self.z)
        return float(first), float(last)

    @property
    def chi2(self) -> float:
        """χ² of the plain reconstruction."""
        return float(np.sum(self.ivar * (self.flux - self.plain.astype(np.float64)) ** 2))

    def camera(self, name: str) -> NDArray[np.bool_]:
        """Return which bins (M,) camera b, r or z observed; overlaps are split in the middle."""
        return camera_of(self.observed) == CAMERAS.index(name)


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """K spectra that a model reconstructed.

    Attributes
    ----------
    prepared : Prepared
    latent : (K, L) float32
    model : (K, M) float32
        In the unit of the spectra.
    chi2 : (K,) float64
    good : (K,) int64
        Bins with information.
    """

    prepared: Prepared
    latent: NDArray[np.float32]
    model: NDArray[np.float32]
    chi2: NDArray[np.float64]
    good: NDArray[np.int64]


class Reconstructor:
    """The networks of a model, for spectra that are already in the rest frame."""

    def __init__(self, scorer: Scorer) -> None:
        self._vae = scorer.vae
        self._preprocessor: Preprocessor = scorer.preprocessor

    def __call__(self, flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> Reconstructed:
        """Reconstruct flux (K, M), ivar (K, M) in any unit; each row needs a good bin."""
        prepared = self.prepare(flux, ivar)
        latent = self._vae.encode(prepared.flux)
        decoded = self._vae.decode(latent)

        residual = (prepared.flux - decoded).astype(np.float64)
        chi2 = np.einsum("km,km,km->k", residual, residual, prepared.ivar.astype(np.float64))
        model = decoded * prepared.norm[:, None]
        return Reconstructed(prepared, latent, model, chi2, np.count_nonzero(ivar > 0, axis=1))

    def prepare(self, flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> Prepared:
        """Infill and normalise flux (K, M), ivar (K, M)."""
        rows = len(flux)
        nothing = np.zeros(rows, np.float32)
        rest = RestFrame(
            np.ascontiguousarray(flux, np.float32),
            np.ascontiguousarray(ivar, np.float32),
            nothing,
            nothing,
            np.zeros(rows, np.int32),
        )
        return self._preprocessor.prepare(rest)
