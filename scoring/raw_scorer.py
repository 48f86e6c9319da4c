"""RawScorer: prepared spectra to raw scores, before any calibration.

Serving and training both score with it, the one blocks of a request, the other rows of a sample.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .density import LocalOutlierFactor
from .galaxy_shapes import GalaxyShapes
from .network import OnnxVAE
from .residual import boxcar_scores, camera_offset, weighted_mse
from .second_galaxy import second_galaxy
from .stage_timer import StageTimer


@dataclass(frozen=True, eq=False)
class RawScores:
    """Raw scores of N prepared spectra.

    Attributes
    ----------
    latent : (N, L) float32
        Mean of the encoder's posterior.
    reconstruction : (N, M) float32
        The decoded latent, normalised.
    wmse : (N,) float32
        Larger is more anomalous; noise alone gives 1 times the coverage.
    nof : (N,) float32
        Smaller is more anomalous; inliers have about −1.
    boxcar_significance : (N, W) float32
        For each width; larger is more anomalous, noise alone gives about 3 to 4.
    boxcar_power : (N, W) float32
        For each width; larger is more anomalous, noise alone gives 1.
    camera_offset : (N,) float32
        Larger is more anomalous, noise alone gives about 1.
    second_galaxy : (N,) float32
        Larger is more anomalous, noise alone gives about 9.
    galaxy_distance : (N,) float32
        Of the reconstruction from those of galaxies; these have about 1.
    """

    latent: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    boxcar_significance: NDArray[np.float32]
    boxcar_power: NDArray[np.float32]
    camera_offset: NDArray[np.float32]
    second_galaxy: NDArray[np.float32]
    galaxy_distance: NDArray[np.float32]

    @property
    def finite(self) -> NDArray[np.bool_]:
        """(N,) bool: the rows whose latent and scores all are finite."""
        residuals = self.wmse, self.camera_offset, self.second_galaxy
        scores = *residuals, self.nof, self.galaxy_distance
        boxcars = self.boxcar_significance, self.boxcar_power
        columns = self.latent, *boxcars, np.stack(scores, axis=1)
        return np.all(np.isfinite(np.hstack(columns)), axis=1)


@dataclass(frozen=True, eq=False)
class RawScorer:
    """The networks, the density and the galaxy shapes of a model.

    Attributes
    ----------
    vae : OnnxVAE
    wave : (M,) float64
        Centres of the rest-frame bins, Å.
    density : LocalOutlierFactor, optional
        None while a model is fitted and its density is not known yet: nof is then NaN.
    galaxies : GalaxyShapes, optional
        None while they are not known yet: camera_offset, second_galaxy and galaxy_distance are
        then NaN.
    """

    vae: OnnxVAE
    wave: NDArray[np.float64]
    density: LocalOutlierFactor | None
    galaxies: GalaxyShapes | None

    def score(
        self,
        flux: NDArray[np.float32],
        ivar: NDArray[np.float32],
        z: NDArray[np.float64],
        timer: StageTimer | None = None,
    ) -> RawScores:
        """Score prepared spectra.

        Parameters
        ----------
        flux, ivar : (N, M) float32
            Normalised, bad bins infilled; ivar = 0 in bad bins.
        z : (N,) float64
        timer : StageTimer, optional
            Times the stages encode, decode, residual and neighbours.
        """
        timer = timer or StageTimer()

        latent = self.vae.encode(flux)
        timer.lap("encode")

        reconstruction = self.vae.decode(latent)
        timer.lap("decode")

        wmse = weighted_mse(flux, ivar, reconstruction)
        boxcars = boxcar_scores(flux, ivar, reconstruction)
        unknown = np.full(len(flux), np.nan, np.float32)
        offset = second = distance = unknown
        if self.galaxies is not None:
            axes, features = self.galaxies.axes, self.galaxies.features
            offset = camera_offset(flux, ivar, reconstruction, z, self.wave, axes)
            second = second_galaxy(flux, ivar, reconstruction, z, self.wave, features)
            distance = self.galaxies.distance(reconstruction)
        timer.lap("residual")

        nof = unknown if self.density is None else self.density.nof(latent)
        timer.lap("neighbours")

        return RawScores(latent, reconstruction, wmse, nof, *boxcars, offset, second, distance)
