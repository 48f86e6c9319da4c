"""Pipeline: all steps of a fit, from folders of petals to a bundle and its report.

Nothing that decides about the model is kept between the steps except in the caches and the
checkpoint, whose names hold what they depend on: a fit that was stopped is continued by the same
command, and a command that differs in anything starts its own.
"""

import hashlib
import importlib.metadata
import logging
import shutil
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model_store.bundle import Grid, Manifest, Thresholds, write_bundle
from model_store.bundle import Sample as SampleEntry
from scoring.calibration import Calibration
from scoring.density import LocalOutlierFactor
from scoring.network import OnnxVAE
from scoring.preprocess import LOW_SNR
from scoring.residual import coherence, weighted_mse

from . import TrainingError
from .cache import cache_root
from .config import Config
from .dataset import RestSample, Split, prepare, read_sample, split
from .density import fit_density
from .eigenspectra import iterative_pca, noise_weighted_pca
from .export import export
from .fit import Rows, fit
from .report import Scored, classwise_wmse, to_draw, typical, write_report
from .vae import build

_log = logging.getLogger(__name__)

_BLOCK = 2048
_PARITY_SPECTRA = 256
_PACKAGES = (
    "astropy",
    "keras",
    "numba",
    "numpy",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "tensorflow",
    "tensorflow-probability",
    "tf2onnx",
)


def fit_bundle(folders: Sequence[str | Path], output: str | Path, config: Config) -> Path:
    """Fit a model to the petals below the folders and write it as a bundle.

    Parameters
    ----------
    folders : sequence of path-like
        Searched for pairs of coadd and redrock files.
    output : path-like
        The bundle; must not exist. Beside it appear `<output>-report`, and while the fit runs
        `<output>.work` with its checkpoint.
    config : Config

    Returns
    -------
    Path
        The bundle.

    Raises
    ------
    TrainingError
        For anything the user can put right.
    """
    bundle = Path(output)
    if bundle.exists():
        raise TrainingError(f"{bundle} exists already; remove it or choose another --output")
    cache = cache_root()
    sample = read_sample(folders, config, cache)
    parts = split(sample, config)
    _log.info(
        "%d spectra train, %d validate, %d calibrate",
        len(parts.training),
        len(parts.validation),
        len(parts.calibration),
    )
    tf.config.experimental.enable_op_determinism()
    some = _some(parts.training, config)
    eigenspectra = iterative_pca(
        *sample.take(some), config.infill.components, config.infill.iterations
    )
    flux, ivar = prepare(sample, config, eigenspectra, cache)
    start = (
        noise_weighted_pca(flux[some], ivar[some], config.network.latents)
        if config.network.linear_path
        else None
    )
    vae = build(config.grid.bins, config.network, start, config.fit.seed)
    work = bundle.with_name(f"{bundle.name}.work")
    history = fit(
        vae,
        Rows(flux, ivar, parts.training),
        Rows(flux, ivar, parts.validation),
        config.fit,
        work / f"{_fingerprint(config, sample)}.npz",
    )
    encoder, decoder = export(vae, flux[parts.validation[:_PARITY_SPECTRA]])
    exported = OnnxVAE(encoder, decoder)
    latent, *errors = _reconstruct(exported, flux, ivar, parts.training)
    reference = fit_density(latent, config.density.neighbours)
    lof = LocalOutlierFactor(
        reference.latents, reference.k_distances, reference.densities, config.density.neighbours
    )
    training = Scored(parts.training, sample.rows[parts.training], latent, lof.nof(latent), *errors)
    rows = np.union1d(parts.validation, parts.calibration)
    latent, *errors = _reconstruct(exported, flux, ivar, rows)
    held_out = Scored(rows, sample.rows[rows], latent, lof.nof(latent), *errors)
    calibrating = held_out.choose(np.isin(rows, parts.calibration))
    calibration = Calibration.fit(*calibrating.evidence())
    manifest = _manifest(config, sample, parts, training, calibrating)
    write_bundle(
        bundle,
        manifest,
        {
            "encoder.onnx": encoder,
            "decoder.onnx": decoder,
            "eigenspectra.npz": {
                "mean": eigenspectra.mean,
                "components": eigenspectra.components,
            },
            "density.npz": {
                "latents": reference.latents,
                "k_distances": reference.k_distances,
                "densities": reference.densities,
                "targetids": np.sort(sample.rows["targetid"][parts.training]),
            },
            "calibration.npz": calibration.to_arrays(),
        },
    )
    report = bundle.with_name(f"{bundle.name}-report")
    bright = held_out.choose(held_out.rows["snr"] > config.sample.min_snr)
    for name, row in classwise_wmse(bright).items():
        _log.info("wmse of %s not trained on: mean %.3f (n = %d)", name, row["mean"], row["n"])
    chosen = bright.choose(typical(bright))
    examples = to_draw(
        chosen, sample, exported.decode(chosen.latent), flux[chosen.index], calibration
    )
    write_report(report, manifest, history, training, bright, examples)
    shutil.rmtree(work)
    return bundle


def _some(training: NDArray[np.intp], config: Config) -> NDArray[np.intp]:
    """Return the training rows, or as many of them as the PCAs need, ascending."""
    if len(training) <= config.infill.spectra:
        return training
    rng = np.random.default_rng(config.split.seed)
    return np.sort(rng.choice(training, config.infill.spectra, replace=False))


def _fingerprint(config: Config, sample: RestSample) -> str:
    return hashlib.sha256(f"{sample.key} {config!r}".encode()).hexdigest()[:16]


def _reconstruct(
    vae: OnnxVAE,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    rows: NDArray[np.intp],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return latent (n, L), wmse (n,) and coherence (n, 3) of rows, as the served model does."""
    latents, errors, runs = [], [], []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        latent = vae.encode(flux[block])
        spectra = flux[block], ivar[block], vae.decode(latent)
        latents.append(latent)
        errors.append(weighted_mse(*spectra))
        runs.append(coherence(*spectra))
    return np.concatenate(latents), np.concatenate(errors), np.concatenate(runs)


def _thresholds(scored: Scored, share: float) -> Thresholds:
    """Return the wmse and nof beyond which lies a share of the spectra with S/N >= 5."""
    bright = scored.rows["snr"] >= LOW_SNR
    return Thresholds(
        wmse=float(np.quantile(scored.wmse[bright], 1 - share)),
        nof=float(np.quantile(scored.nof[bright], share)),
    )


def _manifest(
    config: Config, sample: RestSample, parts: Split, training: Scored, calibrating: Scored
) -> Manifest:
    created = datetime.now(UTC).replace(microsecond=0)
    counts = sample.counts | {
        "training": len(parts.training),
        "validation": len(parts.validation),
        "calibration": len(parts.calibration),
    }
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    return Manifest(
        version=f"{created:%Y%m%dt%H%M%S}-{_fingerprint(config, sample)[:8]}",
        created=created,
        sample=SampleEntry(
            kind="simulated" if sample.simulated else "desi", release=sample.release, counts=counts
        ),
        configuration=config.model_dump(mode="json"),
        grid=Grid(**config.grid.model_dump()),
        redshift_range=config.sample.redshift_range,
        latents=config.network.latents,
        neighbours=config.density.neighbours,
        thresholds=_thresholds(calibrating, config.levels.threshold),
        paper_thresholds=_thresholds(training, config.levels.threshold),
        p_level=config.levels.p_value,
        code=project["version"],
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
    )
