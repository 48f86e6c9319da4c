"""Baselines: the simple scores that a network has to beat, and those of the paper.

Reconstruction by principal components, isolation among their coefficients, the largest single-bin
residual, the step between two cameras, and the reconstruction probability that the paper proposes
(An & Cho 2015). All are anomaly scores: larger is more anomalous. Those that cannot be negative
are logarithms, as in scoring's own calibration, so that the same tail function fits all.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from model_store.bundle import Bundle
from outcrop import Spectra
from outcrop.spectra import STEP, WAVE
from scoring.density import LocalOutlierFactor
from scoring.infill import Eigenspectra
from scoring.network import OnnxVAE
from scoring.preprocess import Prepared
from scoring.training_targetids import TrainingTargetids

from ..model.config import config_of
from ..model.dataset import cache_root, prepare, read_sample, split
from ..model.density import fit_local_outlier_factor
from ..model.sources import PetalSource

COMPONENTS = (10, 50)
NEIGHBOURS = 20
JOINS = (("b", "r"), ("r", "z"))
"""Cameras that overlap."""
SAMPLES = 32
"""Draws from the posterior for one reconstruction probability."""

AnomalyScores = dict[str, NDArray[np.float64]]
"""Anomaly scores (N,) by name; larger is more anomalous."""

_LARGEST_SAMPLE = 30_000
_SEED = 0
_RIDGE = 1e-6
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """Principal components of prepared spectra.

    Attributes
    ----------
    mean : (M,) float64
    axes : (K, M) float64
        Orthonormal, most important first.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    def project(
        self, flux: NDArray[np.float32], ivar: NDArray[np.float32], components: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Fit the first components, or all there are, by least squares weighted with ivar.

        Parameters
        ----------
        flux, ivar : (N, M) float32
            Prepared spectra; ivar = 0 in bad bins.
        components : int

        Returns
        -------
        coefficients : (N, components) float64
        chi2 : (N,) float64
            Per good bin; about 1 where only noise is left.
        """
        axes = self.axes[:components]
        components = len(axes)
        centred = flux - self.mean

        # The normal equations, with a small ridge
        first, second = np.triu_indices(components)
        packed = ivar @ (axes[first] * axes[second]).T
        normal = np.empty((len(flux), components, components))
        normal[:, first, second] = packed
        normal[:, second, first] = packed
        scale = np.trace(normal, axis1=1, axis2=2) / components
        normal += (_RIDGE * scale + _TINY)[:, None, None] * np.eye(components)
        right = ((ivar * centred) @ axes.T)[:, :, None]
        coefficients = np.linalg.solve(normal, right)[:, :, 0]

        residual = centred - coefficients @ axes
        good = np.maximum((ivar > 0).sum(axis=1), 1)
        return coefficients, np.einsum("nm,nm,nm->n", ivar, residual, residual) / good


@dataclass(frozen=True, eq=False)
class FittedBaselines:
    """Baselines that were fitted on a training sample.

    Attributes
    ----------
    components : PrincipalComponents
    forest : IsolationForest
        On the coefficients of the first 10 components.
    density : LocalOutlierFactor
        Likewise.
    petals : tuple of PetalSource
        Where the calibration spectra are.
    calibration : mapping of int to (n,) int64
        TARGETIDs of the calibration spectra in each of these petals.
    same_sample : bool
        Whether the bundle was trained on these very spectra.
    """

    components: PrincipalComponents
    forest: IsolationForest
    density: LocalOutlierFactor
    petals: tuple[PetalSource, ...]
    calibration: dict[int, NDArray[np.int64]]
    same_sample: bool

    def scores(self, prepared: Prepared) -> AnomalyScores:
        """Return the baselines' anomaly scores of prepared spectra."""
        scores: AnomalyScores = {}
        coefficients = np.empty((len(prepared.norm), 0))
        # The smallest number last: isolation is measured among its coefficients.
        for number in reversed(COMPONENTS):
            coefficients, chi2 = self.components.project(prepared.flux, prepared.ivar, number)
            scores[f"pca{number}"] = log(chi2)
        scores["isolation_forest"] = log(-self.forest.score_samples(coefficients))
        nof = self.density.nof(coefficients.astype(np.float32))
        scores["lof"] = log(-nof)
        return scores


def fit_baselines(bundle: Bundle, folders: Sequence[str | Path]) -> FittedBaselines:
    """Fit the baselines to the spectra that a bundle was trained on.

    The sample is read with the bundle's own configuration: the cuts, the split into training and
    calibration spectra and the cache are those of its fit.

    Parameters
    ----------
    bundle : Bundle
    folders : sequence of path-like
        The petals of its training sample.

    Raises
    ------
    TrainingError
        If the configuration in the manifest is not one that this code knows, or there are no
        such petals.
    """
    config = config_of(bundle.manifest)
    cache = cache_root()
    sample = read_sample(folders, config, cache)
    parts = split(sample, config)
    eigenspectra = Eigenspectra.from_arrays(bundle.arrays("eigenspectra.npz"))
    flux, ivar = prepare(sample, config, eigenspectra, cache)

    rng = np.random.default_rng(_SEED)
    rows = parts.training
    if len(rows) > _LARGEST_SAMPLE:
        rows = np.sort(rng.choice(rows, _LARGEST_SAMPLE, replace=False))
    components = fit_components(flux[rows], COMPONENTS[-1])
    coefficients, _ = components.project(flux[rows], ivar[rows], COMPONENTS[0])
    density = fit_local_outlier_factor(coefficients.astype(np.float32), NEIGHBOURS)

    numbers = sample.rows["petal"][parts.calibration]
    targetids = sample.rows["targetid"][parts.calibration]
    trained_on = TrainingTargetids.of(bundle).targetids
    return FittedBaselines(
        components=components,
        forest=IsolationForest(random_state=_SEED, n_jobs=1).fit(coefficients),
        density=density,
        petals=sample.petals,
        calibration={int(n): targetids[numbers == n] for n in np.unique(numbers)},
        same_sample=np.array_equal(np.sort(sample.rows["targetid"][parts.training]), trained_on),
    )


def fit_components(flux: NDArray[np.float32], number: int) -> PrincipalComponents:
    """Return the first principal components of prepared spectra (N, M)."""
    number = min(number, *flux.shape)
    pca = PCA(number, svd_solver="covariance_eigh").fit(flux)
    return PrincipalComponents(np.asarray(pca.mean_, float), np.asarray(pca.components_, float))


def largest_residual(
    prepared: Prepared, reconstruction: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return log of the largest |residual| of a single bin, in σ, of each spectrum (N,)."""
    residual = np.abs(prepared.flux - reconstruction) * np.sqrt(prepared.ivar)
    return log(residual.max(axis=1))


def join_step(spectra: Spectra) -> NDArray[np.float64] | None:
    """Return log of the larger step between two cameras, in σ, of each spectrum (N,).

    Where two cameras overlap, 5760-5800 and 7520-7620 Å in the observed frame, both measure the
    same light: the step is their mean difference over its error. None without two such cameras.
    """
    steps = [
        _step(spectra, blue, red)
        for blue, red in JOINS
        if blue in spectra.bands and red in spectra.bands
    ]
    return log(np.max(steps, axis=0)) if steps else None


def _step(spectra: Spectra, blue: str, red: str) -> NDArray[np.float64]:
    first, second = spectra.bands[blue].folded(), spectra.bands[red].folded()

    # The last pixels of the bluer camera are the first of the redder one.
    pixels = round((WAVE[blue][-1] - WAVE[red][0]) / STEP) + 1
    flux = np.stack([first.flux[:, -pixels:], second.flux[:, :pixels]]).astype(np.float64)
    ivar = np.stack([first.ivar[:, -pixels:], second.ivar[:, :pixels]]).astype(np.float64)
    good = (np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)).all(axis=0)
    flux, ivar = np.where(good, flux, 0.0), np.where(good, ivar, 0.0)

    weight = ivar[0] * ivar[1] / np.maximum(ivar.sum(axis=0), _TINY)
    difference = (flux[1] - flux[0]) * weight
    total = np.maximum(weight.sum(axis=1), _TINY)
    return np.abs(difference.sum(axis=1)) / np.sqrt(total)


@dataclass(frozen=True, eq=False)
class ReconstructionProbability:
    """The reconstruction probability of N spectra, and its cost.

    Attributes
    ----------
    full : (N,) float64
        Minus the mean log-likelihood per good bin: An & Cho's, larger is more anomalous. It
        contains the noise's own log σ and so depends on S/N even for perfect reconstructions.
    expected_wmse : (N,) float64
        log of the mean wmse per good bin, the part of it that depends on the residuals.
    seconds : float
    """

    full: NDArray[np.float64]
    expected_wmse: NDArray[np.float64]
    seconds: float


def reconstruction_probability(
    vae: OnnxVAE, prepared: Prepared, rng: np.random.Generator, samples: int = SAMPLES
) -> ReconstructionProbability:
    """Return the Monte Carlo mean over the posterior of the log-likelihood (An & Cho 2015).

    The likelihood is Eq. 5 of Nicolaou et al. 2025, the loss: Gaussian, with the noise's ivar.
    """
    start = time.perf_counter()
    latent, log_variance = vae.posterior(prepared.flux)
    sigma = np.exp(log_variance / 2)
    total = np.zeros(len(latent))
    for _ in range(samples):
        draw = latent + sigma * rng.standard_normal(latent.shape, dtype=np.float32)
        total += _chi2(prepared.flux, prepared.ivar, vae.decode(draw))

    good = prepared.ivar > 0
    bins = np.maximum(good.sum(axis=1), 1)
    noise = np.log(prepared.ivar, where=good, out=np.zeros_like(prepared.ivar)).sum(axis=1)
    chi2 = total / samples / bins
    full = (chi2 + np.log(2 * np.pi) - noise / bins) / 2
    return ReconstructionProbability(full, log(chi2), time.perf_counter() - start)


@njit(cache=True, nogil=True)
def _chi2(
    flux: NDArray[np.float32], ivar: NDArray[np.float32], model: NDArray[np.float32]
) -> NDArray[np.float64]:
    chi2 = np.zeros(len(flux))
    for row in range(len(flux)):
        for j in range(flux.shape[1]):
            difference = np.float64(flux[row, j]) - np.float64(model[row, j])
            chi2[row] += ivar[row, j] * difference * difference
    return chi2


def log(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logarithm of what cannot be negative, finite also at 0."""
    return np.log(np.maximum(values.astype(np.float64), _TINY))
