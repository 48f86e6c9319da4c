"""Pipeline: all steps of a fit, from folders or plans of petals to a bundle and its report.

Intermediate results are kept only in the caches and in the checkpoint. Their names depend on the
configuration, the petals and the code, so the same command continues a fit that was interrupted,
and a different command starts a new one.
"""

import hashlib
import importlib.metadata
import logging
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from explanation.reference import Reference
from model_store.bundle import Content, Manifest, SampleEntry
from scoring.density import LocalOutlierFactor
from scoring.galaxy_shapes import GalaxyShapes
from scoring.infill import Eigenspectra
from scoring.network import OnnxVAE
from scoring.raw_scorer import RawScorer
from scoring.training_targetids import TrainingTargetids

from ..outputs import check_new
from .cache import cache_root
from .calibrate import (
    Calibrated,
    calibration_entry,
    decile_edges,
    publish,
    quantile_thresholds,
)
from .config import Config
from .dataset import RestSample, Split, prepare, read_sample, split
from .density import (
    distinct,
    fit_local_outlier_factor,
    groups_of_like_snr,
    informative_axes,
    well_reconstructed,
)
from .eigenspectra import iterative_pca, noise_weighted_pca
from .export import export
from .fit import Epoch, Rows, fit
from .galaxy_shapes import fit_galaxy_shapes
from .inliers import percentiles_of_nearest, scan_of_segments
from .latent_map import latent_map
from .memory import give_back
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
    "umap-learn",
)


@dataclass(frozen=True, eq=False)
class FittedNetworks:
    """What `fit_networks` returns.

    Attributes
    ----------
    eigenspectra : Eigenspectra
    prepared : (flux, ivar)
        The whole sample as the encoder takes it, (N, M) float32 each, memory-mapped.
    encoder, decoder : bytes
        The exported ONNX models.
    vae : OnnxVAE
        The same models, loaded.
    history : list of Epoch
    """

    eigenspectra: Eigenspectra
    prepared: tuple[NDArray[np.float32], NDArray[np.float32]]
    encoder: bytes
    decoder: bytes
    vae: OnnxVAE
    history: list[Epoch]


def fit_bundle(paths: Sequence[str | Path], output: str | Path, config: Config) -> Path:
    """Fit a model to petals and write it as a bundle.

    Parameters
    ----------
    paths : sequence of path-like
        Folders, searched for pairs of coadd and redrock files, and plans, ``.ecsv``.
    output : path-like
        The bundle; must not exist. A report is written to `<output>-report`. While the fit runs,
        its checkpoint is in `<output>.work`.
    config : Config

    Returns
    -------
    Path
        The bundle.

    Raises
    ------
    TrainingError
        For errors that the user can correct.
    """
    check_new(Path(output))
    return fit_sample(read_sample(paths, config, cache_root()), output, config)


def fit_sample(sample: RestSample, output: str | Path, config: Config) -> Path:
    """Fit a model to a sample that was read with this configuration; else as `fit_bundle`."""
    bundle = Path(output)
    work = bundle.with_name(f"{bundle.name}.work")
    check_new(bundle)

    parts = split(sample, config)
    _log.info(
        "%d spectra train, %d validate, %d calibrate",
        len(parts.training),
        len(parts.validation),
        len(parts.calibration),
    )

    networks = fit_networks(sample, parts, config, work)
    density, training, members = fit_density(networks, sample, parts, config)
    galaxies = fit_galaxy_shapes(networks.vae, training, config.grid.wave)
    give_back()
    edges = decile_edges(training.latent)
    calibrated, held_out = calibrate(networks, density, galaxies, edges, sample, parts, config)
    calibrating = held_out.choose(np.isin(held_out.index, parts.calibration))
    reference = describe_reference(density, members, calibrating)
    scan = scan_of_segments(networks.vae, config.grid, networks.prepared, calibrating)

    manifest = _manifest(config, sample, parts, training, calibrated)
    targetids = TrainingTargetids(np.sort(sample.rows["targetid"][parts.training]))
    files: dict[str, Content] = {
        "encoder.onnx": networks.encoder,
        "decoder.onnx": networks.decoder,
        "eigenspectra.npz": networks.eigenspectra.to_arrays(),
        "density.npz": density.to_arrays(),
        "galaxies.npz": galaxies.to_arrays(),
        "training_targetids.npz": targetids.to_arrays(),
        "explanation.npz": reference.to_arrays() | scan.to_arrays(),
        **calibrated.files(),
    }
    bright = held_out.choose(held_out.rows["snr"] > config.sample.min_snr)
    classes = classwise_wmse(bright)
    publish(bundle, manifest, files, classes)
    for name, row in classes.items():
        _log.info("wmse of %s not trained on: mean %.3f (n = %d)", name, row["mean"], row["n"])

    chosen = bright.choose(typical(bright))
    flux, _ = networks.prepared
    decoded = networks.vae.decode(chosen.latent)
    examples = to_draw(chosen, sample, decoded, flux[chosen.index], calibrated.calibration)
    report = bundle.with_name(f"{bundle.name}-report")
    write_report(
        report, manifest, networks.history, training, bright, examples, reference, sample.damaged
    )

    shutil.rmtree(work)
    return bundle


def fit_networks(sample: RestSample, parts: Split, config: Config, work: Path) -> FittedNetworks:
    """Prepare the sample, fit encoder and decoder to it and export them.

    Parameters
    ----------
    work : Path
        Folder of the checkpoint.
    """
    tf.config.experimental.enable_op_determinism()

    some = _some(parts.training, config)
    eigenspectra = iterative_pca(
        *sample.take(some), config.infill.components, config.infill.iterations
    )
    flux, ivar = prepare(sample, config, eigenspectra, cache_root())

    start = None
    if config.network.linear_path:
        start = noise_weighted_pca(flux[some], ivar[some], config.network.latents)
    vae = build(config.grid.bins, config.network, start, config.fit.seed)
    history = fit(
        vae,
        Rows(flux, ivar, parts.training),
        _alike(sample.rows[parts.training]),
        Rows(flux, ivar, parts.validation),
        config.fit,
        work / f"{fingerprint(config, sample)}.npz",
    )

    encoder, decoder = export(vae, flux[parts.validation[:_PARITY_SPECTRA]])
    give_back()
    return FittedNetworks(
        eigenspectra, (flux, ivar), encoder, decoder, OnnxVAE(encoder, decoder), history
    )


def fit_density(
    networks: FittedNetworks, sample: RestSample, parts: Split, config: Config
) -> tuple[LocalOutlierFactor, Scored, NDArray[np.void]]:
    """Fit the local outlier factor to the training latents.

    Returns
    -------
    density : LocalOutlierFactor
    training : Scored
        All training spectra.
    members : (R,) structured
        Rows of the sample that are the reference points, in their order.
    """
    scored = score_rows(
        RawScorer(networks.vae, config.grid.wave, None, None),
        networks.prepared,
        sample.rows,
        parts.training,
    )

    flux, _ = networks.prepared
    log_variance = _log_variance(networks.vae, flux, parts.training)
    axes = informative_axes(log_variance, config.density.latents)
    kept = scored.choose(well_reconstructed(scored, config.density.trim))
    kept = kept.choose(distinct(kept.latent, axes))
    density = fit_local_outlier_factor(kept.latent, config.density.neighbours, axes)

    return density, replace(scored, nof=density.nof(scored.latent)), kept.rows


def describe_reference(
    density: LocalOutlierFactor, members: NDArray[np.void], calibrating: Scored
) -> Reference:
    """Return who the reference spectra (R,) are and where they lie, and how near inliers lie."""
    return Reference(
        members["targetid"],
        members["z"],
        members["spectype"],
        latent_map(density.latents[:, density.axes]),
        percentiles_of_nearest(density, calibrating),
    )


def calibrate(
    networks: FittedNetworks,
    density: LocalOutlierFactor,
    galaxies: GalaxyShapes,
    edges: NDArray[np.float32],
    sample: RestSample,
    parts: Split,
    config: Config,
) -> tuple[Calibrated, Scored]:
    """Calibrate on the calibration part; return also the scores of all that was not trained on.

    Parameters
    ----------
    edges : (L, 9) float32
        Edges of the training sample's deciles.
    """
    scorer = RawScorer(networks.vae, config.grid.wave, density, galaxies)
    rows = np.union1d(parts.validation, parts.calibration)
    held_out = score_rows(scorer, networks.prepared, sample.rows, rows)
    faint = score_rows(scorer, networks.prepared, sample.rows, parts.faint)

    calibrating = held_out.choose(np.isin(rows, parts.calibration))
    return Calibrated.of(calibrating, faint, sample, edges, config), held_out


def _some(training: NDArray[np.intp], config: Config) -> NDArray[np.intp]:
    """Return the training rows, at most as many as the PCAs use, ascending."""
    if len(training) <= config.infill.spectra:
        return training
    rng = np.random.default_rng(config.split.seed)
    return np.sort(rng.choice(training, config.infill.spectra, replace=False))


def _alike(rows: NDArray[np.void]) -> list[NDArray[np.intp]]:
    """Return groups of galaxies of like S/N among rows (n,)."""
    galaxies = np.flatnonzero(rows["spectype"] == "GALAXY")
    return [galaxies[group] for group in groups_of_like_snr(rows["snr"][galaxies])]


def fingerprint(config: Config, sample: RestSample) -> str:
    """Return what a fit depends on, in 16 digits; a bundle's version ends with the first 8."""
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
        version=f"{created:%Y%m%dt%H%M%S}-{fingerprint(config, sample)[:8]}",
        created=created,
        sample=SampleEntry(
            kind="simulated" if sample.simulated else "desi",
            release=sample.release,
            tiles=tuple(sorted(set(sample.tiles))),
            counts=counts,
        ),
        calibration=calibration_entry(sample, parts.calibration, parts.faint),
        configuration=config.model_dump(mode="json"),
        grid=config.grid,
        redshift_range=config.sample.redshift_range,
        population=config.sample.population,
        finest_p=calibrated.calibration.finest,
        latents=config.network.latents,
        neighbours=config.density.neighbours,
        thresholds=calibrated.thresholds,
        paper_thresholds=quantile_thresholds(training, config.levels.threshold),
        p_level=config.levels.p_value,
        code=project["version"],
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
    )
