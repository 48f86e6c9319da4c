"""Calibrate: thresholds, p-values, drift reference and canary, from a calibration sample.

The calibration sample is not trained on. The command `fit` takes it from its own petals. The
command `calibrate` takes it from other petals, unlabelled, and leaves the networks, the
eigenspectra and the density unchanged. A p-value then states how rare a score is among these
spectra, without the few that are far beyond all others.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from explanation.reference import Reference
from model_store.bundle import Bundle, Content, Manifest, SampleEntry, Thresholds, write_bundle
from scoring.calibration import Calibration
from scoring.canary import Canary
from scoring.drift import DECILES, Drift, decile_counts
from scoring.preprocess import LOW_SNR
from scoring.scorer import Scorer
from scoring.training_targetids import TrainingTargetids

from .. import TrainingError
from ..outputs import check_new
from .cache import cache_root, key_of
from .canary import make_canary
from .card import CARD, write_card
from .config import Config, config_of
from .dataset import LEAST_CALIBRATION, RestSample, prepare, read_sample
from .inliers import percentiles_of_nearest, scan_of_segments
from .scored import SPECTYPES, Scored, classwise_wmse, score_rows

_log = logging.getLogger(__name__)

_FAR = 2.0
"""A flagged share of more than this times the level is far above it."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What is derived from a calibration sample.

    Attributes
    ----------
    thresholds : Thresholds
        The wmse and nof beyond which the configured share of the spectra with S/N >= 5 lies.
    calibration : Calibration
    drift : Drift
    canary : Canary
    """

    thresholds: Thresholds
    calibration: Calibration
    drift: Drift
    canary: Canary

    @staticmethod
    def of(
        scored: Scored,
        faint: Scored | None,
        sample: RestSample,
        edges: NDArray[np.float32],
        config: Config,
    ) -> "Calibrated":
        """Derive thresholds, calibration, drift reference and canary from scored spectra.

        Parameters
        ----------
        scored : Scored
            The calibration sample, with its own distribution of S/N.
        faint : Scored, optional
            Further spectra of low S/N, for the p-values only.
        sample : RestSample
        edges : (L, 9) float32
            Edges of the training sample's deciles.
        config : Config
        """
        thresholds = quantile_thresholds(scored, config.levels.threshold)
        extra = None if faint is None else faint.inputs()
        calibration = Calibration.fit(scored.inputs(), extra)
        return Calibrated(
            thresholds,
            calibration,
            Drift(edges, decile_shares(scored.latent, edges)),
            make_canary(scored, sample, calibration, thresholds, config),
        )

    def files(self) -> dict[str, Content]:
        """Return the files of a bundle that are made from the calibration sample."""
        return {
            "calibration.npz": self.calibration.to_arrays(),
            "drift.npz": self.drift.to_arrays(),
            "canary.npz": self.canary.to_arrays(),
        }


def quantile_thresholds(scored: Scored, share: float) -> Thresholds:
    """Return the wmse and nof beyond which a share of the spectra with S/N >= 5 lies."""
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
    """Return the manifest's entry for a calibration sample; its tiles are those of `index`.

    The counts of its spectra by redrock's class are named as ``calibration_STAR``.
    """
    petals = np.unique(sample.rows["petal"][index])
    spectype = sample.rows["spectype"][index]
    classes = {f"calibration_{name}": int((spectype == name).sum()) for name in SPECTYPES}
    return SampleEntry(
        kind="simulated" if sample.simulated else "desi",
        release=sample.release,
        tiles=tuple(sorted({sample.tiles[petal] for petal in petals})),
        counts=sample.counts
        | {"calibration": len(index), "faint": 0 if faint is None else len(faint)}
        | classes,
    )


def publish(
    path: Path,
    manifest: Manifest,
    files: Mapping[str, Content],
    classes: Mapping[str, Mapping[str, float]],
) -> None:
    """Write a bundle with its model card, after a check that its scorer agrees with training.

    Raises
    ------
    TrainingError
        If it does not agree; no bundle is written.
    """
    calibration = cast(Mapping[str, NDArray[np.generic]], files["calibration.npz"])
    card = write_card(manifest, calibration, classes)
    write_bundle(path, manifest, {**files, CARD: card.encode()}, check=_agree)


def _agree(bundle: Bundle) -> None:
    difference = Canary.from_arrays(bundle.arrays("canary.npz")).check(Scorer(bundle))
    if difference:
        raise TrainingError(
            f"the exported model does not score as in training: {difference}; "
            "are the packages those of requirements/dev.txt?"
        )


def calibrate_bundle(
    bundle: str | os.PathLike[str], paths: Sequence[str | Path], output: str | os.PathLike[str]
) -> Path:
    """Recalibrate a bundle on other petals, and write the result.

    The cuts are those of the bundle's configuration. Spectra that the networks were trained on are
    left out.

    Parameters
    ----------
    bundle : path-like
    paths : sequence of path-like
        Folders, searched for pairs of coadd and redrock files, and plans, ``.ecsv``; no other
        files are read.
    output : path-like
        The new bundle; must not exist.

    Returns
    -------
    Path
        The new bundle.

    Raises
    ------
    TrainingError, model_store.bundle.BundleError
        For errors that the user can correct.
    """
    path = Path(output)
    check_new(path)
    source = Bundle.open(bundle)
    config = config_of(source.manifest)

    sample = read_sample(paths, config, cache_root())
    targetids = TrainingTargetids.of(source)
    index = _not_trained_on(sample, targetids)

    scorer = Scorer(source)
    prepared = prepare(sample, config, scorer.preprocessor.eigenspectra, cache_root())
    scored = score_rows(scorer.raw_scorer, prepared, sample.rows, index)
    edges = Drift.from_arrays(source.arrays("drift.npz")).edges
    calibrated = Calibrated.of(scored, None, sample, edges, config)
    reference = replace(
        Reference.from_arrays(source.arrays("explanation.npz")),
        nearest=percentiles_of_nearest(scorer.density, scored),
    )
    scan = scan_of_segments(scorer.vae, config.grid, prepared, scored)
    _report_flagged(
        source.manifest,
        Calibration.from_arrays(source.arrays("calibration.npz")),
        scored,
        calibrated.calibration,
    )

    files: dict[str, Content] = {
        "encoder.onnx": source.bytes("encoder.onnx"),
        "decoder.onnx": source.bytes("decoder.onnx"),
        "eigenspectra.npz": scorer.preprocessor.eigenspectra.to_arrays(),
        "density.npz": scorer.density.to_arrays(),
        "galaxies.npz": scorer.galaxies.to_arrays(),
        "training_targetids.npz": targetids.to_arrays(),
        "explanation.npz": reference.to_arrays() | scan.to_arrays(),
        **calibrated.files(),
    }
    manifest = _recalibrated(source, sample, index, calibrated)
    bright = scored.choose(scored.rows["snr"] > config.sample.min_snr)
    publish(path, manifest, files, classwise_wmse(bright))
    return path


def _not_trained_on(sample: RestSample, targetids: TrainingTargetids) -> NDArray[np.intp]:
    trained = targetids.contains(sample.rows["targetid"][sample.index])
    index = sample.index[~trained]
    if len(index) < LEAST_CALIBRATION:
        raise TrainingError(
            f"{len(index)} of the {len(sample.index)} spectra that pass the cuts were not trained "
            f"on; at least {LEAST_CALIBRATION} are needed: give more petals, or other ones"
        )
    return index


def _report_flagged(manifest: Manifest, old: Calibration, scored: Scored, new: Calibration) -> None:
    """Log how many spectra both calibrations flag; warn if the old one flags far too many."""
    level, count = manifest.p_level, len(scored.index)
    before, after = (
        int(np.count_nonzero(scored.p_value(calibration) < level)) for calibration in (old, new)
    )
    _log.info(
        "of %d spectra %d (%.1f %%) are flagged before and %d (%.1f %%) after",
        count,
        before,
        100 * before / count,
        after,
        100 * after / count,
    )

    counts = manifest.calibration.counts
    calibrated_on = counts.get("calibration", 0) + counts.get("faint", 0)
    if looks_contaminated(before, count, calibrated_on, level):
        _log.warning(
            "warning: the old calibration flags %.1f %% of this sample, expected %g %%: either it "
            "contains anomalies, or its spectra differ from those of the old calibration. A few "
            "that are far beyond all others are left out of the new one; the rest count as "
            "inliers, and anomalies like them are no longer flagged. "
            "Look at the flagged spectra (`python -m training figures` with the old bundle); "
            "calibrate without the petals that have anomalies, or keep the old bundle",
            100 * before / count,
            100 * level,
        )


def looks_contaminated(flagged: int, count: int, calibrated_on: int, level: float) -> bool:
    """Return whether a calibration flags more of a sample than inliers alone would explain.

    Parameters
    ----------
    flagged, count : int
        Spectra of the sample that it flags, and all.
    calibrated_on : int
        Number of spectra that the calibration was made from.
    level : float
        Share of inliers that it is meant to flag.

    Returns
    -------
    bool
        True if the share is more than twice the level, and more than three standard deviations
        above it. Both samples are finite, and both add to the deviation.
    """
    deviation = np.sqrt(level * (1 - level) * (1 / count + 1 / max(calibrated_on, 1)))
    return flagged / count > max(_FAR * level, level + 3 * deviation)


def _recalibrated(
    source: Bundle, sample: RestSample, index: NDArray[np.intp], calibrated: Calibrated
) -> Manifest:
    """Return the source's manifest with the entries that a calibration changes."""
    created = datetime.now(UTC).replace(microsecond=0)
    return source.manifest.model_copy(
        update={
            "version": f"{created:%Y%m%dt%H%M%S}-{key_of(source.sha256, sample.key)[:8]}",
            "created": created,
            "calibration": calibration_entry(sample, index),
            "calibrated_from": source.sha256,
            "thresholds": calibrated.thresholds,
            "finest_p": calibrated.calibration.finest,
        }
    )
