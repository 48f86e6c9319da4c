"""Scorer: Spectra in, Scores out; all stages of scoring in their order.

The service, `python -m scoring` and the evaluation in training all use it.
"""

import importlib.metadata
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Bundle
from outcrop import Model, Scores, Spectra, Status
from outcrop.scores import INELIGIBLE, eligible
from outcrop.spectra import repeated

from .calibration import Calibration, PValueInputs
from .density import LocalOutlierFactor
from .galaxy_shapes import GalaxyShapes
from .infill import Eigenspectra
from .network import OnnxVAE
from .preprocess import LOW_SNR, Prepared, Preprocessor, RestFrame
from .raw_scorer import RawScorer, RawScores
from .robust import robust_reconstruction
from .stage_timer import Observe, StageTimer
from .training_targetids import TrainingTargetids

T = TypeVar("T")

# With fewer good bins, the scores would mostly be those of the infilled bins.
MIN_COVERAGE = 0.5
# Rows scored at a time by one thread: enough for full speed, few enough to stay in the cache.
_BLOCK = 128
STAGES = (
    *("rest_frame", "infill", "encode", "decode", "residual", "neighbours", "robust"),
    "calibrate",
)
"""The stages that `Scorer.score` times, in order."""
_PACKAGES = ("numpy", "numba", "onnxruntime", "pykdtree", "astropy")


class Scorer:
    """Score spectra with the model of a bundle.

    Parameters
    ----------
    bundle : Bundle
    threads : int, optional
        Blocks of rows scored at the same time; default: one for each core the process may use.

    Attributes
    ----------
    model : outcrop.Model
    preprocessor : Preprocessor
    vae : OnnxVAE
    density : LocalOutlierFactor
    galaxies : GalaxyShapes
    calibration : Calibration
    raw_scorer : RawScorer
        Of vae, density and galaxies.
    threads : int
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        manifest = bundle.manifest

        self.preprocessor = Preprocessor(
            manifest.grid,
            manifest.redshift_range,
            Eigenspectra.from_arrays(bundle.arrays("eigenspectra.npz")),
        )
        # Each block runs on one thread from end to end: it waits for no other thread, and its
        # arrays stay in the processor's cache.
        self.vae = OnnxVAE(bundle.bytes("encoder.onnx"), bundle.bytes("decoder.onnx"), 1)
        self.density = LocalOutlierFactor.from_arrays(
            bundle.arrays("density.npz"), manifest.neighbours
        )
        self.galaxies = GalaxyShapes.from_arrays(bundle.arrays("galaxies.npz"))
        self.raw_scorer = RawScorer(self.vae, manifest.grid.wave, self.density, self.galaxies)
        self.calibration = Calibration.from_arrays(bundle.arrays("calibration.npz"))
        self.model = _model(bundle)

        self._training_targetids = TrainingTargetids.of(bundle)
        self._population = manifest.population
        self._thresholds = manifest.thresholds
        self._p_level = manifest.p_level

        self.threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="block")

    @staticmethod
    def open(path: str | os.PathLike[str], threads: int | None = None) -> "Scorer":
        """Open and verify the bundle at path, and make a scorer of it."""
        return Scorer(Bundle.open(path), threads)

    def score(
        self, spectra: Spectra, *, reconstruction: bool = False, observe: Observe | None = None
    ) -> Scores:
        """Score N spectra; one row for each, in order.

        A bad spectrum is a row with status bits and NaN scores: rows without data or redshift,
        or with less than half of their rest-frame bins good, or to which the model gives a number
        that is not finite. No row changes another's scores;
        rows with the same TARGETID get DUPLICATE.

        Parameters
        ----------
        spectra : Spectra
        reconstruction : bool
            Also return reconstruction, rest_flux and rest_ivar, in the input's flux unit. The
            reconstruction is the robust one; latent, wmse and nof are those of the plain one.
        observe : callable, optional
            Called with the name, one of `STAGES`, and the seconds of each stage, for each block
            of rows; from several threads at the same time.
        """

        def score_block(rows: slice) -> Scores:
            return self._block(spectra[rows], reconstruction, StageTimer(observe))

        scores = Scores.concatenate(self.by_block(score_block, len(spectra)))
        scores.status[repeated(spectra.targetid)] |= int(Status.DUPLICATE)
        return scores

    def by_block(self, function: Callable[[slice], T], count: int) -> list[T]:
        """Return the results of a function for blocks of rows, in order.

        It runs for several blocks at the same time, on the threads that score; it must not wait
        for them itself.

        Parameters
        ----------
        function : callable
            Takes the rows of a block.
        count : int
            Rows of all blocks together; where there are none, there is one block.
        """
        size = max(min(-(-count // self.threads), _BLOCK), 1)
        blocks = [slice(start, start + size) for start in range(0, max(count, 1), size)]
        # A single block is not worth a switch of threads.
        run = self._pool.map if len(blocks) > 1 else map
        return list(run(function, blocks))

    def _block(self, spectra: Spectra, reconstruction: bool, timer: StageTimer) -> Scores:
        rest = self.preprocessor.to_rest_frame(spectra)
        timer.lap("rest_frame")

        # Only these rows have scores.
        rows = np.flatnonzero(_can_be_scored(rest))
        prepared = self.preprocessor.prepare(rest.rows(rows))
        timer.lap("infill")

        raw = self.raw_scorer.score(prepared.flux, prepared.ivar, spectra.z[rows], timer)

        images: dict[str, NDArray[np.float32]] = {}
        if reconstruction:
            images = self._images(rest, rows, prepared, raw)
        timer.lap("robust")

        scores = self._calibrated(spectra, rest, rows, prepared, raw, images)
        timer.lap("calibrate")
        return scores

    def _calibrated(
        self,
        spectra: Spectra,
        rest: RestFrame,
        rows: NDArray[np.intp],
        prepared: Prepared,
        raw: RawScores,
        images: dict[str, NDArray[np.float32]],
    ) -> Scores:
        """Return the scores of all spectra, given the raw scores of some rows."""
        finite = raw.finite
        scattered = partial(_scatter, len(rest), rows, finite)
        status = self._status(spectra, rest, rows[~finite])
        wmse, nof = scattered(raw.wmse), scattered(raw.nof)

        # p-values and flags are for eligible spectra only.
        counted = eligible(status, rest.snr)
        bright = counted & (rest.snr >= LOW_SNR)
        p_value, p_value_pooled = np.full((2, len(rest)), np.nan)
        inputs = PValueInputs(
            rest.snr,
            rest.coverage,
            wmse,
            nof,
            scattered(raw.boxcar_significance),
            scattered(raw.boxcar_power),
            scattered(raw.camera_offset),
            scattered(raw.second_galaxy),
            scattered(raw.galaxy_distance),
            np.full(len(rest), "") if spectra.spectype is None else spectra.spectype,
        ).rows(counted)
        found = self.calibration.p_values(inputs)
        p_value[counted], p_value_pooled[counted] = found.within_class, found.pooled
        status[np.flatnonzero(counted)[self.calibration.too_good(inputs)]] |= int(Status.TOO_GOOD)

        return Scores(
            model=self.model.identity,
            targetid=spectra.targetid,
            status=status,
            snr=rest.snr,
            coverage=rest.coverage,
            norm=scattered(prepared.norm),
            latent=scattered(raw.latent),
            wmse=wmse,
            nof=nof,
            wmse_anomaly=bright & (wmse > self._thresholds.wmse),
            nof_anomaly=bright & (nof < self._thresholds.nof),
            p_value=p_value,
            p_value_pooled=p_value_pooled,
            anomaly=p_value < self._p_level,
            z=spectra.z,
            rest_wave=self.model.wave if images else None,
            **images,
        )

    def _images(
        self, rest: RestFrame, rows: NDArray[np.intp], prepared: Prepared, raw: RawScores
    ) -> dict[str, NDArray[np.float32]]:
        """Return the fields of all spectra that are there on request, in the input's flux unit."""
        robust = robust_reconstruction(
            self.vae, prepared.flux, prepared.ivar, raw.latent, raw.reconstruction
        )
        scattered = partial(_scatter, len(rest), rows, raw.finite)
        norm = prepared.norm[:, None]
        return {
            "reconstruction": scattered(robust.reconstruction * norm),
            "rest_flux": scattered(prepared.flux * norm),
            "rest_ivar": rest.ivar,
        }

    def _status(
        self, spectra: Spectra, rest: RestFrame, failed: NDArray[np.intp]
    ) -> NDArray[np.int32]:
        """Return the status (N,) with the bits that the model determines.

        NOT_SCORED (the failed rows), IN_TRAINING, EXTRAPOLATED and OUT_OF_POPULATION.
        """
        status = rest.status.copy()
        status[failed] |= int(Status.NOT_SCORED)
        low, high = self.calibration.snr_range
        # S/N is the spectrum's, whether or not the model fails on it.
        counted = (rest.status & int(INELIGIBLE)) == 0

        trained = self._training_targetids.contains(spectra.targetid)
        status[trained] |= int(Status.IN_TRAINING)

        extrapolated = counted & ((rest.snr < low) | (rest.snr > high))
        status[extrapolated] |= int(Status.EXTRAPOLATED)

        # Sky fibers have target bits too, and belong to no population.
        if spectra.desi_target is not None:
            outside = ~self._population.contains(spectra.desi_target)
            outside &= (status & int(Status.NOT_TARGET)) == 0
            status[outside] |= int(Status.OUT_OF_POPULATION)
        return status


def _model(bundle: Bundle) -> Model:
    manifest = bundle.manifest
    return Model(
        name=manifest.name,
        version=manifest.version,
        sha256=bundle.sha256,
        sample=manifest.sample.label,
        wave=manifest.grid.wave,
        latents=manifest.latents,
        redshift_range=manifest.redshift_range,
        thresholds=manifest.thresholds.model_dump(),
        p_level=manifest.p_level,
        finest_p=manifest.finest_p,
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
        bundle_packages=manifest.packages,
        population=manifest.population.name,
        noise_correction=manifest.noise_correction,
    )


def _can_be_scored(rest: RestFrame) -> NDArray[np.bool_]:
    unusable = int(Status.NO_REDSHIFT | Status.NO_DATA | Status.NO_SPECTRUM)
    return ((rest.status & unusable) == 0) & (rest.coverage >= MIN_COVERAGE)


def _scatter(
    length: int, rows: NDArray[np.intp], finite: NDArray[np.bool_], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return an array of `length` rows with values in those rows that are finite, NaN elsewhere."""
    full = np.full((length, *values.shape[1:]), np.nan, np.float32)
    full[rows[finite]] = values[finite]
    return full
