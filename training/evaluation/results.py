"""Results: what `evaluate` returns, and the keys of the JSON file that it writes.

A number that is unknown or unbounded is None here and null in the file.
"""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


Number = Annotated[float | None, BeforeValidator(_finite)]
Interval = tuple[Number, Number]
Estimates = dict[str, dict[str, Number]]
"""By score, then by injected kind, ``all`` of them pooled, or the ``macro`` mean over them."""
Intervals = dict[str, dict[str, Interval]]
"""The same, 95 % intervals of the bootstrap."""


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class EvaluatedModel(_Result):
    """The model's identity, and the label of the sample it was trained on."""

    name: str
    version: str
    sha256: str
    sample: str


class LeftOut(_Result):
    """Spectra that are not eligible for one reason, and how many of them are flagged: none."""

    n: int
    flagged: int


class SpectraCounts(_Result):
    """Spectra in the files, those that are eligible, and why the others are not.

    `left_out` is by status bit; a spectrum with several of these bits counts for each. Those that
    only lack S/N have none, and count as ``S/N < 1``.
    """

    rows: int
    eligible: int
    left_out: dict[str, LeftOut]


class ReconstructionCost(_Result):
    """Time of the reconstruction probability and, beside it, of wmse."""

    samples: int
    seconds_per_1000: Number
    seconds_per_1000_wmse: Number


class FlaggedInRange(_Result):
    """Flagged spectra in a range of S/N.

    `flagged_min` and `flagged_max` bound what 99 % of faultless calibrations would flag, the
    noise of a finite calibration sample included. `within` says whether `flagged` lies between
    them; None unless only inliers are counted.
    """

    snr_min: Number
    snr_max: Number
    n: int
    flagged: int
    share: Number
    n_calibration: int
    flagged_min: int
    flagged_max: int
    within: bool | None


class FlaggedShare(_Result):
    """Flagged spectra, the share with its exact 95 % interval."""

    n: int
    flagged: int
    share: Number
    interval: Interval


class FlaggedInClass(FlaggedShare):
    """Flagged spectra of one class; the further fields are those of `FlaggedInRange`.

    `n_calibration` is None where the manifest does not name the class.
    """

    n_calibration: int | None
    flagged_min: int
    flagged_max: int
    within: bool | None


class FlaggedByPetal(_Result):
    """Flagged share, petal by petal."""

    petals: int
    median: Number
    p90: Number
    maximum: Number


class ClassError(_Result):
    """Weighted MSE of one class at S/N above 5, and the paper's mean."""

    n: int
    mean: Number
    median: Number
    paper_mean: Number


class Evaluation(_Result):
    """Everything that needs no truth.

    `flagged_by_spectype` and `wmse_by_spectype` have a row ``all`` and one for each redrock class.
    `too_good` are the spectra with the status bit TOO_GOOD. Where there is a truth, all of these
    count inliers only.
    """

    model: EvaluatedModel
    bundle: str
    folder: str
    truth: bool
    notes: list[str]
    counts: SpectraCounts
    reconstruction_probability: ReconstructionCost
    p_level: float
    calibration: list[FlaggedInRange]
    flagged_by_spectype: dict[str, FlaggedInClass]
    flagged_by_petal: FlaggedByPetal
    too_good: FlaggedShare
    wmse_by_spectype: dict[str, ClassError]


class DetectionMetrics(_Result):
    """All metrics by score and kind; strengths have neither ``all`` nor ``macro``."""

    n_injected: dict[str, int]
    n_inlier: int
    recall_at_1pct: Estimates
    recall_at_1pct_interval: Intervals
    auroc: Estimates
    auroc_interval: Intervals
    auprc_at_1pct_prevalence: Estimates
    auprc_at_1pct_prevalence_interval: Intervals
    precision_at_100: Estimates
    precision_at_100_interval: Intervals
    strength_at_half_recall: Estimates
    strength_at_half_recall_interval: Intervals


class SnrMetrics(DetectionMetrics):
    """The metrics in a range of S/N, recall at the thresholds of all."""

    snr_min: Number
    snr_max: Number


class InlierError(_Result):
    """Weighted MSE of the inliers with S/N above 5."""

    n: int
    wmse_median: Number
    wmse_p99: Number


class ContinuumError(_Result):
    """Reduced χ² of the robust reconstruction of `n` spectra, more than 60 Å from Hα."""

    n: int
    median: Number
    p90: Number


class InjectedCounts(_Result):
    """Injected spectra of one kind."""

    eligible: int
    ineligible: int


class Control(_Result):
    """The share of the control that each score flags at its threshold, which is no recall."""

    kind: str
    n: int
    flagged_share: dict[str, Number]


class BetterBaseline(_Result):
    """A kind of which a baseline finds more than p_value does.

    `chance` is the probability of such a difference between equally good scores.
    """

    kind: str
    score: str
    recall: Number
    recall_of_p_value: Number
    chance: Number


class MissedRatio(_Result):
    """The macro share that p_value misses over the share that another score misses."""

    score: str
    ratio: Number
    interval: Interval


class FalseDiscoveries(_Result):
    """Means over drawn nights, whose discoveries have a q-value of at most `q_level`.

    `proportion` is the share of inliers among the discoveries, `recall` the share of the injected
    spectra that are discoveries. `on_tail` is the number of nights whose discoveries rest on
    extrapolated p-values.
    """

    q_level: float
    nights: int
    injected: Number
    proportion: Number
    standard_error: Number
    discoveries: Number
    recall: Number
    set_apart: Number
    on_tail: int


class LabelledEvaluation(Evaluation, DetectionMetrics):
    """Everything, where the truth is known; `threshold` is by score.

    `injected_flagged` has the injected spectra, eligible ones, that the model's own flag `anomaly`
    finds: by kind, and ``all`` of them; the control is left out.
    """

    clean: InlierError
    extreme_halpha_continuum: ContinuumError
    injected: dict[str, InjectedCounts]
    injected_flagged: dict[str, FlaggedShare]
    threshold: Mapping[str, Number]
    control: Control
    by_snr: list[SnrMetrics]
    simpler_and_better: list[BetterBaseline]
    missed_ratio: MissedRatio | None
    false_discoveries: FalseDiscoveries
