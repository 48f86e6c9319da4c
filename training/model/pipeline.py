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
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from model_store.bundle import Content, Grid, Manifest
from model_store.bundle import Sample as SampleEntry
from scoring.network import OnnxVAE

from .. import TrainingError
from .cache import cache_root
from .calibrate import Calibrated, calibration_entry, decile_edges, publish, quantile_thresholds
from .config import Config
from .dataset import RestSample, Split, prepare, read_sample, split
from .density import fit_density, informative_axes, well_reconstructed
from .eigenspectra import iterative_pca, noise_weighted_pca
from .export import export
from .fit import Rows, fit
from .report import to_draw, typical, write_report
from .scored import Scored, classwise_wmse, score_rows
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
    prepared = flux, ivar
    training = score_rows(exported, None, prepared, sample.rows, parts.training)
    latent = training.latent
    axes = informative_axes(_log_variance(exported, flux, parts.training), config.density.latents)
    kept = well_reconstructed(training, config.density.trim)
    reference = fit_density(latent[kept], config.density.neighbours, axes)
    density = reference.factor(config.density.neighbours)
    training = replace(training, nof=density.nof(latent))
    rows = np.union1d(parts.validation, parts.calibration)
    held_out = score_rows(exported, density, prepared, sample.rows, rows)
    edges = decile_edges(latent)
    calibrating = held_out.choose(np.isin(rows, parts.calibration))
    faint = score_rows(exported, density, prepared, sample.rows, parts.faint)
    calibrated = Calibrated.of(calibrating, faint, sample, edges, config)
    manifest = _manifest(config, sample, parts, training, calibrated)
    files: dict[str, Content] = {
        "encoder.onnx": encoder,
        "decoder.onnx": decoder,
        "eigenspectra.npz": {"mean": eigenspectra.mean, "components": eigenspectra.components},
        "density.npz": {
            "axes": reference.axes,
            "latents": reference.latents,
            "k_distances": reference.k_distances,
            "densities": reference.densities,
            "targetids": np.sort(sample.rows["targetid"][parts.training]),
        },
    }
    bright = held_out.choose(held_out.rows["snr"] > config.sample.min_snr)
    classes = classwise_wmse(bright)
    publish(bundle, manifest, files | calibrated.files(edges), classes)
    report = bundle.with_name(f"{bundle.name}-report")
    for name, row in classes.items():
        _log.info("wmse of %s not trained on: mean %.3f (n = %d)", name, row["mean"], row["n"])
    chosen = bright.choose(typical(bright))
    examples = to_draw(
        chosen, sample, exported.decode(chosen.latent), flux[chosen.index], calibrated.calibration
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


def _log_variance(
    vae: OnnxVAE, flux: NDArray[np.float32], rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the posterior's log variance (n, L) of rows."""
    blocks = range(0, len(rows), _BLOCK)
    return np.concatenate([vae.posterior(flux[rows[i : i + _BLOCK]])[1] for i in blocks])


def _manifest(
    config: Config, sample: RestSample, parts: Split, training: Scored, calibrated: Calibrated
) -> Manifest:
    created = datetime.now(UTC).replace(microsecond=0)
    counts = sample.counts | {
        "training": len(parts.training),
        "validation": len(parts.validation),
        "calibration": len(parts.calibration),
        "faint": len(parts.faint),
    }
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    return Manifest(
        version=f"{created:%Y%m%dt%H%M%S}-{_fingerprint(config, sample)[:8]}",
        created=created,
        sample=SampleEntry(
            kind="simulated" if sample.simulated else "desi",
            release=sample.release,
            tiles=tuple(sorted(set(sample.tiles))),
            counts=counts,
        ),
        calibration=calibration_entry(sample, parts.calibration, parts.faint),
        configuration=config.model_dump(mode="json"),
        grid=Grid(**config.grid.model_dump()),
        redshift_range=config.sample.redshift_range,
        latents=config.network.latents,
        neighbours=config.density.neighbours,
        thresholds=calibrated.thresholds,
        paper_thresholds=quantile_thresholds(training, config.levels.threshold),
        p_level=config.levels.p_value,
        code=project["version"],
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
    )
