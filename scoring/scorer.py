"""Scorer: Spectra in, Scores out; all of the science in the order it happens.

The same object answers the service, scores petals in process and evaluates in training.
"""

import importlib.metadata
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_store.bundle import Bundle
from outcrop import Model, Scores, Spectra, Status
from outcrop.scores import INELIGIBLE, eligible

from .calibration import Calibration
from .density import LocalOutlierFactor
from .infill import Eigenspectra
from .network import OnnxVAE
from .preprocess import LOW_SNR, Prepared, Preprocessor, RestFrame
from .resample import RestGrid
from .residual import boxcar_significance, weighted_mse
from .stage_timer import Observe, StageTimer

# Below this the model would judge its own infill.
MIN_COVERAGE = 0.5
# Rows scored at a time by one thread: enough for full speed, few enough to stay in the cache.
_BLOCK = 128
STAGES = ("rest_frame", "infill", "encode", "decode", "residual", "neighbours", "calibrate")
"""What `Scorer.score` times, in this order."""
_PACKAGES = ("numpy", "numba", "onnxruntime", "pykdtree", "astropy")


@dataclass(frozen=True, eq=False)
class Raw:
    """What the model says of N prepared spectra, before calibration."""

    latent: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    wmse: NDArray[np.float32]
    nof: NDArray[np.float32]
    boxcar_significance: NDArray[np.float32]


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
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        manifest = bundle.manifest
        grid = RestGrid(manifest.grid.first, manifest.grid.last, manifest.grid.bins)
        eigenspectra = bundle.arrays("eigenspectra.npz")
        density = bundle.arrays("density.npz")
        self.preprocessor = Preprocessor(
            grid,
            manifest.redshift_range,
            Eigenspectra(
                eigenspectra["mean"].astype(np.float32),
                eigenspectra["components"].astype(np.float32),
            ),
        )
        # A block has one thread for all of its way: it waits for no other, and finds what it left
        # in the processor's cache.
        self.vae = OnnxVAE(bundle.bytes("encoder.onnx"), bundle.bytes("decoder.onnx"), 1)
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="block")
        self.density = LocalOutlierFactor(
            np.ascontiguousarray(density["latents"], dtype=np.float32),
            density["k_distances"].astype(np.float32),
            density["densities"].astype(np.float32),
            manifest.neighbours,
            density["axes"].astype(np.int64),
        )
        self.calibration = Calibration.from_arrays(bundle.arrays("calibration.npz"))
        self._trained_on = np.sort(density["targetids"].astype(np.int64))
        self._thresholds = manifest.thresholds
        self._p_level = manifest.p_level
        self.model = Model(
            name=manifest.name,
            version=manifest.version,
            sha256=bundle.sha256,
            sample=manifest.sample.label,
            wave=grid.wave,
            latents=manifest.latents,
            redshift_range=manifest.redshift_range,
            thresholds=manifest.thresholds.model_dump(),
            p_level=manifest.p_level,
            packages={name: importlib.metadata.version(name) for name in _PACKAGES},
        )

    @staticmethod
    def open(path: str | os.PathLike[str], threads: int | None = None) -> "Scorer":
        """Open and verify the bundle at path, and make a scorer of it."""
        return Scorer(Bundle.open(path), threads)

    def score(
        self, spectra: Spectra, *, reconstruction: bool = False, observe: Observe | None = None
    ) -> Scores:
        """Score N spectra; one row for each, in order.

        A bad spectrum is a row with status bits and NaN scores: rows without data or redshift,
        or with less than half of their rest-frame bins good. No row changes another's scores.

        Parameters
        ----------
        spectra : Spectra
        reconstruction : bool
            Also return reconstruction, rest_flux and rest_ivar, in the input's flux unit.
        observe : callable, optional
            Called with the name, of `STAGES`, and the seconds of each stage, for each block of
            rows; from several threads at the same time.
        """
        size = max(min(-(-len(spectra) // self._threads), _BLOCK), 1)
        blocks = [
            spectra.rows(slice(start, start + size))
            for start in range(0, max(len(spectra), 1), size)
        ]

        def score_block(block: Spectra) -> Scores:
            return self._block(block, reconstruction, StageTimer(observe))

        # One block is not worth the way to another thread.
        run = self._pool.map if len(blocks) > 1 else map
        return Scores.concatenate(list(run(score_block, blocks)))

    def _raw(self, prepared: Prepared, timer: StageTimer) -> Raw:
        latent = self.vae.encode(prepared.flux)
        timer.lap("encode")
        decoded = self.vae.decode(latent)
        timer.lap("decode")
        wmse = weighted_mse(prepared.flux, prepared.ivar, decoded)
        boxcar = boxcar_significance(prepared.flux, prepared.ivar, decoded)
        timer.lap("residual")
        nof = self.density.nof(latent)
        timer.lap("neighbours")
        return Raw(latent, decoded, wmse, nof, boxcar)

    def _block(self, spectra: Spectra, reconstruction: bool, timer: StageTimer) -> Scores:
        rest = self.preprocessor.to_rest_frame(spectra)
        timer.lap("rest_frame")
        rows = np.flatnonzero(
            ((rest.status & int(Status.NO_REDSHIFT | Status.NO_DATA | Status.NO_SPECTRUM)) == 0)
            & (rest.coverage >= MIN_COVERAGE)
        )
        prepared = self.preprocessor.prepare(rest.rows(rows))
        timer.lap("infill")
        raw = self._raw(prepared, timer)
        status = self._status(spectra, rest)
        norm = _spread(len(rest), rows, prepared.norm)
        wmse = _spread(len(rest), rows, raw.wmse)
        nof = _spread(len(rest), rows, raw.nof)
        counted = eligible(status, rest.snr)
        bright = counted & (rest.snr >= LOW_SNR)
        p_value = np.full(len(rest), np.nan)
        boxcar = _spread(len(rest), rows, raw.boxcar_significance)
        p_value[counted] = self.calibration.p_value(
            rest.snr[counted], rest.coverage[counted], wmse[counted], nof[counted], boxcar[counted]
        )
        timer.lap("calibrate")
        return Scores(
            model=self.model.identity,
            targetid=spectra.targetid,
            status=status,
            snr=rest.snr,
            coverage=rest.coverage,
            norm=norm,
            latent=_spread(len(rest), rows, raw.latent),
            wmse=wmse,
            nof=nof,
            wmse_anomaly=bright & (wmse > self._thresholds.wmse),
            nof_anomaly=bright & (nof < self._thresholds.nof),
            p_value=p_value,
            anomaly=p_value < self._p_level,
            reconstruction=(
                _spread(len(rest), rows, raw.reconstruction * prepared.norm[:, None])
                if reconstruction
                else None
            ),
            rest_flux=(
                _spread(len(rest), rows, prepared.flux * prepared.norm[:, None])
                if reconstruction
                else None
            ),
            rest_ivar=rest.ivar if reconstruction else None,
        )

    def _status(self, spectra: Spectra, rest: RestFrame) -> NDArray[np.int32]:
        status = rest.status
        place = np.searchsorted(self._trained_on, spectra.targetid)
        place = np.minimum(place, max(len(self._trained_on) - 1, 0))
        known = len(self._trained_on) > 0
        trained = known and self._trained_on[place] == spectra.targetid
        low, high = self.calibration.snr_range
        counted = (status & int(INELIGIBLE)) == 0
        beyond = counted & ((rest.snr < low) | (rest.snr > high))
        status[trained] |= int(Status.IN_TRAINING)
        status[beyond] |= int(Status.EXTRAPOLATED)
        return status


def _spread(
    length: int, rows: NDArray[np.intp], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return an array of `length` rows with values in the given rows and NaN elsewhere."""
    full = np.full((length, *values.shape[1:]), np.nan, np.float32)
    full[rows] = values
    return full
