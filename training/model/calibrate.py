"""Calibrate: what a model's scores mean, from spectra that it was not trained on.

Thresholds, p-values, the reference for drift and the canary come from a calibration sample. `fit`
takes one out of its own; the command of this module's name takes the user's petals, unlabelled,
and leaves the networks, the eigenspectra and the density as they are. A p-value then says how
rare a score is on that sky: anomalies in it are part of what it calls ordinary.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from model_store.bundle import FILES, Bundle, Content, Manifest, Thresholds, write_bundle
from model_store.bundle import Sample as SampleEntry
from scoring.calibration import Calibration
from scoring.canary import Canary
from scoring.drift import DECILES, decile_counts
from scoring.preprocess import LOW_SNR
from scoring.scorer import Scorer

from .. import TrainingError
from .cache import cache_root, key_of
from .canary import make_canary
from .card import CARD, write_card
from .config import Config
from .dataset import LEAST_CALIBRATION, RestSample, prepare, read_sample
from .scored import Scored, classwise_wmse, score_rows


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a calibration sample tells.

    Attributes
    ----------
    thresholds : Thresholds
        The wmse and nof beyond which the configured share of the spectra with S/N >= 5 lie.
    calibration : Calibration
    shares : (L, 10) float64
        Share of the spectra in each of the training sample's deciles of each latent.
    canary : Canary
    """

    thresholds: Thresholds
    calibration: Calibration
    shares: NDArray[np.float64]
    canary: Canary

    @staticmethod
    def of(
        scored: Scored,
        faint: Scored | None,
        sample: RestSample,
        edges: NDArray[np.float32],
        config: Config,
    ) -> "Calibrated":
        """Learn from scored spectra of a sample.

        Parameters
        ----------
        scored : Scored
            Of all S/N, as they come.
        faint : Scored, optional
            Further spectra of low S/N, for the p-values alone.
        sample : RestSample
        edges : (L, 9) float32
            Of the training sample's deciles.
        config : Config
        """
        thresholds = quantile_thresholds(scored, config.levels.threshold)
        parts = [one.evidence() for one in (scored, faint) if one is not None]
        calibration = Calibration.fit(*map(np.concatenate, zip(*parts, strict=True)))
        return Calibrated(
            thresholds,
            calibration,
            decile_shares(scored.latent, edges),
            make_canary(scored, sample, calibration, thresholds, config.levels.p_value),
        )

    def files(self, edges: NDArray[np.float32]) -> dict[str, Mapping[str, NDArray[np.generic]]]:
        """Return the files of a bundle that come from the calibration sample."""
        return {
            "calibration.npz": self.calibration.to_arrays(),
            "drift.npz": {"edges": edges, "shares": self.shares},
            "canary.npz": self.canary.to_arrays(),
        }


def quantile_thresholds(scored: Scored, share: float) -> Thresholds:
    """Return the wmse and nof beyond which lies a share of the spectra with S/N >= 5."""
    bright = scored.rows["snr"] >= LOW_SNR
    if not bright.any():
        raise TrainingError(
            f"none of the {len(bright)} calibration spectra has S/N of at least {LOW_SNR:g}; "
            "give more petals"
        )
    return Thresholds(
        wmse=float(np.quantile(scored.wmse[bright], 1 - share)),
        nof=float(np.quantile(scored.nof[bright], share)),
    )


def decile_edges(latent: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inner edges (L, 9) of the deciles of each latent (N, L)."""
    inner = np.arange(1, DECILES) / DECILES
    return np.quantile(latent, inner, axis=0).T.astype(np.float32)


def decile_shares(latent: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share (L, 10) of latents (N, L) in each decile; a value on an edge is above it."""
    return decile_counts(latent, edges) / len(latent)


def calibration_entry(
    sample: RestSample, index: NDArray[np.intp], faint: NDArray[np.intp] | None = None
) -> SampleEntry:
    """Return what the manifest says of a calibration sample; its tiles are those of `index`."""
    petals = np.unique(sample.rows["petal"][index])
    return SampleEntry(
        kind="simulated" if sample.simulated else "desi",
        release=sample.release,
        tiles=tuple(sorted({sample.tiles[petal] for petal in petals})),
        counts=sample.counts
        | {"calibration": len(index), "faint": 0 if faint is None else len(faint)},
    )


def publish(
    path: Path,
    manifest: Manifest,
    files: Mapping[str, Content],
    classes: Mapping[str, Mapping[str, float]],
) -> None:
    """Write a bundle with its card, if the scorer that will be served agrees with training.

    Raises
    ------
    TrainingError
        If it does not; no bundle is left behind.
    """
    card = write_card(manifest, classes)
    write_bundle(path, manifest, {**files, CARD: card.encode()}, check=_agree)


def _agree(bundle: Bundle) -> None:
    difference = Canary.from_arrays(bundle.arrays("canary.npz")).check(Scorer(bundle))
    if difference:
        raise TrainingError(
            f"the exported model does not score as in training: {difference}; "
            "are the packages those of requirements/dev.txt?"
        )


def calibrate_bundle(
    bundle: str | os.PathLike[str], folders: Sequence[str | Path], output: str | os.PathLike[str]
) -> Path:
    """Calibrate a bundle anew on the petals below the folders, and write the result.

    The petals are cut as the bundle's configuration says; spectra that the networks were trained
    on do not count.

    Parameters
    ----------
    bundle : path-like
    folders : sequence of path-like
        Searched for pairs of coadd and redrock files; nothing else in them is read.
    output : path-like
        The new bundle; must not exist.

    Returns
    -------
    Path
        The new bundle.

    Raises
    ------
    TrainingError, model_store.bundle.BundleError
        For anything the user can put right.
    """
    path = Path(output)
    if path.exists():
        raise TrainingError(f"{path} exists already; remove it or choose another --output")
    opened = Bundle.open(bundle)
    try:
        config = Config.model_validate(opened.manifest.configuration)
    except ValidationError as error:
        raise TrainingError(
            f"{opened.path} was trained with another version of the code "
            f"({opened.manifest.code}): {error.errors()[0]['msg']}; train it again"
        ) from error
    sample = read_sample(folders, config, cache_root())
    trained = np.isin(sample.rows["targetid"], opened.arrays("density.npz")["targetids"])
    index = sample.index[~trained[sample.index]]
    if len(index) < LEAST_CALIBRATION:
        raise TrainingError(
            f"{len(index)} of the {len(sample.index)} spectra that pass the cuts were not trained "
            f"on, at least {LEAST_CALIBRATION} needed; give more petals, and others"
        )
    scorer = Scorer(opened)
    prepared = prepare(sample, config, scorer.preprocessor.eigenspectra, cache_root())
    scored = score_rows(scorer.vae, scorer.density, prepared, sample.rows, index)
    edges = opened.arrays("drift.npz")["edges"].astype(np.float32)
    calibrated = Calibrated.of(scored, None, sample, edges, config)
    created = datetime.now(UTC).replace(microsecond=0)
    manifest = opened.manifest.model_copy(
        update={
            "version": f"{created:%Y%m%dt%H%M%S}-{key_of(opened.sha256, sample.key)[:8]}",
            "created": created,
            "calibration": calibration_entry(sample, index),
            "calibrated_from": opened.sha256,
            "thresholds": calibrated.thresholds,
        }
    )
    kept = {name: opened.bytes(name) for name in FILES}
    bright = scored.choose(scored.rows["snr"] > config.sample.min_snr)
    publish(path, manifest, kept | calibrated.files(edges), classwise_wmse(bright))
    return path
