"""Evaluate: what a model finds on a sky whose anomalies are known, beside what baselines find.

A score's threshold is the 99th percentile of the score among the eligible inliers with S/N above
5; its recall of a kind is the share of that kind's eligible injected spectra beyond it. Injected
spectra that are not eligible, such as a wrong redshift outside the model's range, are counted
apart. lowsnr is a control, not an anomaly: its flagged share is reported, never its recall.

The share of the injected spectra that the model's own flag `anomaly` finds is reported beside it:
a recall has its threshold from the inliers of this sky, a flag from the calibration.

Where no truth is known, everything that needs none is still evaluated: flagged shares by S/N, by
class and by petal, and the reconstruction error of each class.
"""

import math
import os
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model_store.bundle import Bundle
from outcrop import Status
from outcrop.desi import Petal, find_petals
from scoring.calibration import TRUSTED, ConditionalTail
from scoring.preprocess import LOW_SNR
from scoring.scorer import Scorer

from .. import TrainingError
from ..truth import CONTROL, Truth
from ..truth import FILE as TRUTH
from .baselines import SAMPLES, AnomalyScores, fit_baselines
from .comparison import ALL, LEVEL, Comparison, LabelledScores
from .discoveries import false_discoveries
from .flagged import (
    error_by_class,
    flagged_by_class,
    flagged_by_petal,
    flagged_by_snr,
    flagged_share,
    left_out_by_bit,
)
from .petal_scores import PER_GOOD_BIN, PetalScores, Scorers
from .results import (
    ContinuumError,
    Control,
    EvaluatedModel,
    Evaluation,
    FlaggedShare,
    InjectedCounts,
    InlierError,
    LabelledEvaluation,
    ReconstructionCost,
    SnrMetrics,
    SpectraCounts,
)
from .tables import CALIBRATED, table

SNR_EDGES = (1.0, 5.0, 10.0, 20.0, 50.0, math.inf)
P_VALUES = ("p_value", "p_value_pooled")
OWN = (*P_VALUES, "wmse", "nof", "reconstruction_probability", "expected_wmse")
"""Scores of the model itself; all others are baselines."""
EXTREME_HALPHA = "extreme_halpha"
"""The kind with a line that dominates the spectrum; an anomaly must not bend the rest."""
REFERENCE = ("pca10_calibrated", "pca10")
"""The baseline that p_value's missed share is divided by: the first that there is."""


def evaluate(
    bundle: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    json_path: str | os.PathLike[str] | None = None,
    *,
    train: Sequence[str | Path] = (),
    paper: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Evaluate a model on the petals below a folder; print the tables and return the numbers.

    Parameters
    ----------
    bundle : path-like
    folder : path-like
        Searched for petals; its truth.csv says what was injected.
    json_path : path-like, optional
        Where to write the numbers too; unknown ones are null.
    train : sequence of path-like
        The petals that the bundle was trained on. The baselines are fitted to them, and on their
        calibration spectra all scores are calibrated as the model's own are.
    paper : path-like, optional
        A bundle of the paper's recipe, to be evaluated beside it.

    Returns
    -------
    Evaluation
        A `LabelledEvaluation` if the folder has a truth.csv.

    Raises
    ------
    TrainingError, model_store.bundle.BundleError, outcrop.errors.InputError
        For anything that the user can fix.
    """
    opened = Bundle.open(bundle)
    petals = find_petals(folder)
    if not petals:
        raise TrainingError(
            f"no pair of coadd-*.fits and redrock-*.fits below {folder}; "
            "give a folder of DESI petals"
        )
    if json_path is not None:
        # Fails now rather than after minutes of work.
        Path(json_path).parent.mkdir(parents=True, exist_ok=True)
    truth_path = Path(folder) / TRUTH
    truth = Truth.read(truth_path) if truth_path.is_file() else None

    scorers = Scorers(
        Scorer(opened),
        fit_baselines(opened, train) if train else None,
        None if paper is None else Scorer.open(paper),
    )
    scored = _score(scorers, petals, folder)

    evaluation = _without_truth(opened, scorers, folder, scored, truth)
    if truth is not None:
        scores = _with_calibrated(scorers, scored)
        evaluation = _with_truth(evaluation, scored, truth, scores, opened.manifest.finest_p)

    if json_path is not None:
        text = evaluation.model_dump_json(indent=1)
        Path(json_path).write_text(text + "\n", encoding="utf-8")
    tqdm.write(table(evaluation))
    return evaluation


def _score(
    scorers: Scorers, petals: Sequence[Petal], folder: str | os.PathLike[str]
) -> PetalScores:
    scored = PetalScores.concatenate(
        [
            scorers.score_petal(petal, number)
            for number, petal in enumerate(tqdm(petals, desc="score petals", unit="petal"))
        ]
    )
    if len(scored.snr) == 0:
        raise TrainingError(
            f"none of the {scored.rows} spectra below {folder} is eligible, so there is nothing "
            "to evaluate; are their redshifts in the model's range?"
        )
    return scored


def _with_calibrated(scorers: Scorers, scored: PetalScores) -> AnomalyScores:
    """Return the scores as they are and, where there are calibration spectra, conditioned on S/N.

    The calibration is that of p_value's own parts: wmse per good bin, the tail among spectra of
    like S/N and of all classes.
    """
    raw = scored.anomaly_scores
    scores = {name: raw[name] for name in raw if not name.endswith(PER_GOOD_BIN)}
    if scorers.baselines is None:
        return scores

    fitted = scorers.baselines
    parts: list[PetalScores] = []
    for number, targetids in tqdm(fitted.calibration.items(), "calibrate scores", unit="petal"):
        with fitted.petals[number].opened() as petal:
            parts.append(scorers.score_petal(petal, number, targetids))
    calibrating = PetalScores.concatenate(parts)

    for name in [name for name in scores if name not in P_VALUES]:
        source = name + PER_GOOD_BIN if name + PER_GOOD_BIN in raw else name
        values = calibrating.anomaly_scores[source]
        tail = ConditionalTail.fit(np.log(calibrating.snr), values, TRUSTED)
        scores[name + CALIBRATED] = tail(np.log(scored.snr), raw[source])
    return scores


def _without_truth(
    bundle: Bundle,
    scorers: Scorers,
    folder: str | os.PathLike[str],
    scored: PetalScores,
    truth: Truth | None,
) -> Evaluation:
    """Return what needs no truth; where there is one, of inliers only."""
    model, manifest = scorers.scorer.model, bundle.manifest
    per_1000 = {name: 1000 * spent / len(scored.snr) for name, spent in scored.seconds.items()}

    chosen = np.ones(len(scored.snr), np.bool_)
    if truth is not None:
        chosen = truth.kinds(scored.targetid) == ""
    snr, spectype = scored.snr[chosen], scored.spectype[chosen]
    flagged = scored.anomaly[chosen]

    return Evaluation(
        model=EvaluatedModel(
            name=model.name, version=model.version, sha256=model.sha256, sample=model.sample
        ),
        bundle=str(bundle.path),
        folder=str(folder),
        truth=truth is not None,
        notes=_notes(scorers, scored, truth),
        counts=SpectraCounts(
            rows=scored.rows,
            eligible=len(scored.snr),
            left_out=left_out_by_bit(scored.ineligible_status, scored.ineligible_anomaly),
        ),
        reconstruction_probability=ReconstructionCost(
            samples=SAMPLES,
            seconds_per_1000=per_1000["reconstruction_probability"],
            seconds_per_1000_wmse=per_1000["wmse"],
        ),
        p_level=manifest.p_level,
        calibration=flagged_by_snr(manifest, snr, flagged, truth is not None),
        flagged_by_spectype=flagged_by_class(manifest, spectype, flagged, truth is not None),
        flagged_by_petal=flagged_by_petal(scored.petal[chosen], flagged),
        too_good=flagged_share(scored.has(Status.TOO_GOOD)[chosen]),
        wmse_by_spectype=error_by_class(spectype, snr, scored.wmse[chosen]),
    )


def _notes(scorers: Scorers, scored: PetalScores, truth: Truth | None) -> list[str]:
    """Return what a reader of the numbers must know."""
    notes: list[str] = []
    if truth is None:
        notes.append(
            "no truth.csv: which spectra are inliers is not known, so there is no recall, and "
            "flagged shares are those of all eligible spectra"
        )
    elif not truth.anomalies():
        notes.append("nothing is injected on this sky, so there is no recall")

    if scorers.baselines is None:
        notes.append(
            "PCA from the bundle's own eigenspectra; give the training petals with --train to "
            "see all baselines, and all scores calibrated"
        )
    else:
        notes.append(
            "scores 'by S/N' are compared with all classes, the p-value with the spectrum's own; "
            "the pooled p-value is the one to compare them with"
        )
        if not scorers.baselines.same_sample:
            notes.append("the baselines were fitted on other spectra than the model was trained on")
    if scorers.paper is None:
        notes.append("give a bundle of the paper's recipe with --paper to see it beside this one")

    if trained_on := int(scored.has(Status.IN_TRAINING).sum()):
        notes.append(f"the model was trained on {trained_on} of the evaluated spectra")
    if scorers.scorer.model.simulated:
        notes.append("the model was trained on a simulated sky: this is not DESI performance")
    return notes


def _with_truth(
    evaluation: Evaluation,
    scored: PetalScores,
    truth: Truth,
    scores: AnomalyScores,
    finest_p: float | None,
) -> LabelledEvaluation:
    """Add recall, the other metrics, and how the scores compare."""
    kinds = truth.kinds(scored.targetid)
    bright = (kinds == "") & (scored.snr > LOW_SNR)
    if not bright.any():
        raise TrainingError(
            f"none of the {int((kinds == '').sum())} eligible inliers has S/N above "
            f"{LOW_SNR:g}, so there is no threshold; give more petals"
        )

    strength = truth.strengths(scored.targetid)
    labelled = LabelledScores(kinds, truth.anomalies(), strength, bright, scores)
    comparison = Comparison.of(labelled)
    baselines = [name for name in scores if name.removesuffix(CALIBRATED) not in OWN]
    reference = next((name for name in REFERENCE if name in scores), None)

    threshold = {
        name: float(np.quantile(values[bright], 1 - LEVEL)) for name, values in scores.items()
    }
    wmse = scored.wmse[bright]
    return LabelledEvaluation(
        **dict(evaluation),
        **dict(comparison.result()),
        clean=InlierError(
            n=len(wmse), wmse_median=np.median(wmse), wmse_p99=np.quantile(wmse, 0.99)
        ),
        extreme_halpha_continuum=_continuum(scored.off_halpha[kinds == EXTREME_HALPHA]),
        injected=_injected(kinds, scored, truth),
        injected_flagged=_injected_flagged(kinds, scored, truth),
        threshold=threshold,
        control=_control(kinds, scores, threshold),
        by_snr=_by_snr(comparison, scored.snr),
        simpler_and_better=comparison.better_baselines(baselines),
        missed_ratio=None if reference is None else comparison.missed_ratio(reference),
        false_discoveries=false_discoveries(scored, kinds, evaluation.p_level, finest_p),
    )


def _continuum(errors: NDArray[np.float64]) -> ContinuumError:
    if len(errors) == 0:
        return ContinuumError(n=0, median=None, p90=None)
    median, p90 = np.quantile(errors, (0.5, 0.9))
    return ContinuumError(n=len(errors), median=median, p90=p90)


def _injected(
    kinds: NDArray[np.str_], scored: PetalScores, truth: Truth
) -> dict[str, InjectedCounts]:
    ineligible = Counter(truth.kinds(scored.ineligible).tolist())
    return {
        kind: InjectedCounts(eligible=int((kinds == kind).sum()), ineligible=ineligible[kind])
        for kind in (*truth.anomalies(), CONTROL)
    }


def _injected_flagged(
    kinds: NDArray[np.str_], scored: PetalScores, truth: Truth
) -> dict[str, FlaggedShare]:
    names = truth.anomalies()
    chosen = {kind: kinds == kind for kind in names} | {ALL: np.isin(kinds, names)}
    return {kind: flagged_share(scored.anomaly[which]) for kind, which in chosen.items()}


def _control(
    kinds: NDArray[np.str_], scores: AnomalyScores, threshold: dict[str, float]
) -> Control:
    control = kinds == CONTROL
    return Control(
        kind=CONTROL,
        n=int(control.sum()),
        flagged_share={
            name: (values[control] > threshold[name]).mean() if control.any() else math.nan
            for name, values in scores.items()
        },
    )


def _by_snr(comparison: Comparison, snr: NDArray[np.float64]) -> list[SnrMetrics]:
    return [
        SnrMetrics(
            snr_min=low,
            snr_max=high,
            **dict(comparison.within((snr >= low) & (snr < high)).result()),
        )
        for low, high in tqdm(list(pairwise(SNR_EDGES)), desc="metrics", unit="S/N bin")
    ]
