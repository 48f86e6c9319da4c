"""Evaluate: what a model finds on a sky whose anomalies are known, beside what simpler scores find.

A score's threshold is the 99th percentile of its anomaly score among the ordinary, eligible spectra
with S/N above 5; its recall of a kind is the share of that kind's eligible injected spectra beyond
it. Injected spectra that are not eligible, such as a wrong redshift outside the model's range, are
counted apart. lowsnr is a control and no anomaly: its flagged share is told, never its recall.

Where no truth is known, what needs none is measured all the same: flagged shares by S/N and by
class, and the reconstruction error of each class.
"""

import csv
import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model_store.bundle import Bundle
from outcrop.desi import find_petals
from scoring.calibration import TRUSTED, ConditionalTail
from scoring.preprocess import LOW_SNR
from scoring.scorer import Scorer

from .. import TrainingError
from ..model.card import PAPER_WMSE
from . import metrics
from .baselines import SAMPLES, fit_baselines
from .comparison import LEVEL, Comparison, Labelled
from .petal_scores import PER_GOOD_BIN, AnomalyScores, Judges, Measured
from .tables import table

CONTROL = "lowsnr"
SNR_EDGES = (1.0, 5.0, 10.0, 20.0, 50.0, math.inf)
OWN = ("p_value", "wmse", "nof", "reconstruction_probability", "expected_wmse")
"""Scores of the model itself; all others are what it has to beat."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What was injected in each TARGETID: kind, empty for inliers, and strength."""

    kind: dict[int, str]
    strength: dict[int, float]

    @staticmethod
    def read(path: Path) -> "Truth":
        """Read truth.csv: TARGETID, KIND and, where strengths are known, STRENGTH.

        Raises
        ------
        TrainingError
            If a column is missing or a value is not a number.
        """
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        try:
            kind = {int(row["TARGETID"]): row["KIND"] for row in rows}
            strength = {int(row["TARGETID"]): float(row.get("STRENGTH") or "nan") for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{path}: {error!r}; expected columns TARGETID, KIND and perhaps STRENGTH, "
                "as `python -m training simulate` writes them"
            ) from error
        return Truth(kind, strength)

    def names(self) -> list[str]:
        """Return the injected kinds without the control."""
        return sorted(set(self.kind.values()) - {"", CONTROL})


def evaluate(
    bundle: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    json_path: str | os.PathLike[str] | None = None,
    *,
    train: Sequence[str | Path] = (),
    paper: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Measure a model on the petals below a folder, print the tables, return the numbers.

    Parameters
    ----------
    bundle : path-like
    folder : path-like
        Searched for petals; its truth.csv says what was injected.
    json_path : path-like, optional
        Where to write the numbers too; what cannot be told is null.
    train : sequence of path-like
        The petals that the bundle was trained on. On them the baselines are fitted, and on
        their calibration spectra all scores are calibrated as the model's own are.
    paper : path-like, optional
        A bundle of the paper's recipe, to be measured beside it.

    Raises
    ------
    TrainingError, model_store.bundle.BundleError, outcrop.errors.InputError
        For anything the user can put right.
    """
    opened = Bundle.open(bundle)
    petals = find_petals(folder)
    if not petals:
        raise TrainingError(
            f"no pair of coadd-*.fits and redrock-*.fits below {folder}; "
            "give a folder of DESI petals"
        )
    if json_path is not None:
        # Better now than after minutes of work.
        Path(json_path).parent.mkdir(parents=True, exist_ok=True)
    truth_path = Path(folder) / "truth.csv"
    truth = Truth.read(truth_path) if truth_path.is_file() else None
    judges = Judges(
        Scorer(opened),
        fit_baselines(opened, train) if train else None,
        None if paper is None else Scorer.open(paper),
    )
    measured = Measured.concatenate(
        [
            judges.measure(petal, seed)
            for seed, petal in enumerate(tqdm(petals, desc="score petals", unit="petal"))
        ]
    )
    if len(measured.snr) == 0:
        raise TrainingError(
            f"none of the {measured.rows} spectra below {folder} is eligible, so there is "
            "nothing to measure; are their redshifts in the model's range?"
        )
    scores = _with_calibrated(judges, measured)
    result = _about(opened, judges, folder, measured, truth)
    result |= _shares(opened, measured, truth)
    if truth is not None:
        result |= _recall(measured, truth, scores)
    result = _plain(result)
    if json_path is not None:
        text = json.dumps(result, indent=1, allow_nan=False)
        Path(json_path).write_text(text + "\n", encoding="utf-8")
    tqdm.write(table(result))
    return result


def _with_calibrated(judges: Judges, measured: Measured) -> AnomalyScores:
    """Return the scores as they are and, where there are calibration spectra, conditioned on S/N.

    The calibration is that of p_value's own parts: wmse per good bin, the tail among spectra of
    like S/N.
    """
    raw = measured.anomaly_score
    scores = {name: raw[name] for name in raw if not name.endswith(PER_GOOD_BIN)}
    if judges.fitted is None:
        return scores
    fitted = judges.fitted
    calibrating = Measured.concatenate(
        [
            judges.measure(fitted.petals[number], number, targetids)
            for number, targetids in tqdm(
                fitted.calibration.items(), desc="calibrate scores", unit="petal"
            )
        ]
    )
    for name in list(scores):
        if name != "p_value":
            source = name + PER_GOOD_BIN if name + PER_GOOD_BIN in raw else name
            values = calibrating.anomaly_score[source]
            tail = ConditionalTail.fit(np.log(calibrating.snr), values, TRUSTED)
            scores[f"{name}_calibrated"] = tail(np.log(measured.snr), raw[source])
    return scores


def _about(
    bundle: Bundle,
    judges: Judges,
    folder: str | os.PathLike[str],
    measured: Measured,
    truth: Truth | None,
) -> dict[str, Any]:
    model = judges.scorer.model
    notes: list[str] = []
    if truth is None:
        notes.append(
            "no truth.csv: what is ordinary is not known, so there is no recall, and flagged "
            "shares are those of all eligible spectra"
        )
    elif not truth.names():
        notes.append("nothing is injected on this sky, so there is no recall")
    if judges.fitted is None:
        notes.append(
            "PCA from the bundle's own eigenspectra; give the training petals with --train to "
            "see all baselines, and all scores calibrated"
        )
    elif not judges.fitted.same_sample:
        notes.append("the baselines were fitted on other spectra than the model was trained on")
    if judges.paper is None:
        notes.append("give a bundle of the paper's recipe with --paper to see it beside this one")
    if measured.in_training:
        notes.append(f"the model was trained on {measured.in_training} of the spectra measured")
    if model.simulated:
        notes.append("the model was trained on a simulated sky: this is not DESI performance")
    per_1000 = {n: 1000 * spent / len(measured.snr) for n, spent in measured.seconds.items()}
    return {
        "model": {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "sample": model.sample,
        },
        "bundle": str(bundle.path),
        "folder": str(folder),
        "truth": truth is not None,
        "notes": notes,
        "counts": {"rows": measured.rows, "eligible": len(measured.snr)},
        "reconstruction_probability": {
            "samples": SAMPLES,
            "seconds_per_1000": per_1000["reconstruction_probability"],
            "seconds_per_1000_wmse": per_1000["wmse"],
        },
    }


def _shares(bundle: Bundle, measured: Measured, truth: Truth | None) -> dict[str, Any]:
    """Return the calibration, flagged shares and reconstruction errors of inliers."""
    manifest = bundle.manifest
    chosen = np.ones(len(measured.snr), np.bool_)
    if truth is not None:
        chosen = _kinds(measured, truth) == ""
    snr, wmse = measured.snr[chosen], measured.wmse[chosen]
    spectype = measured.spectype[chosen]
    flagged = measured.p_value[chosen] < manifest.p_level
    by_spectype: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for name in ("all", *sorted({str(one) for one in spectype} | set(PAPER_WMSE) - {"all"})):
        members = np.ones(len(snr), np.bool_) if name == "all" else spectype == name
        by_spectype[name] = _share(flagged[members])
        some = wmse[members & (snr > LOW_SNR)]
        errors[name] = {
            "n": len(some),
            "mean": some.mean() if len(some) else math.nan,
            "median": np.median(some) if len(some) else math.nan,
            "paper_mean": PAPER_WMSE.get(name, math.nan),
        }
    return {
        "p_level": manifest.p_level,
        "calibration": _calibration(bundle, snr, flagged, truth is not None),
        "flagged_by_spectype": by_spectype,
        "wmse_by_spectype": errors,
    }


def _calibration(
    bundle: Bundle, snr: NDArray[np.float64], flagged: NDArray[np.bool_], inlier: bool
) -> list[dict[str, Any]]:
    """Return how many spectra are flagged at S/N 1-5 and in each quartile of S/N.

    `flagged_min` and `flagged_max` bound what 99 % of faultless calibrations would flag, the
    noise of a finite calibration sample included; `within` says whether it holds, if only
    inliers are counted.
    """
    counts = bundle.manifest.calibration.counts
    faint = snr <= LOW_SNR
    edges = np.quantile(snr, [0, 0.25, 0.5, 0.75, 1]) if len(snr) else np.zeros(5)
    rows: list[dict[str, Any]] = []
    for low, high in [(1.0, LOW_SNR), *pairwise(edges)]:
        inside = (snr >= low) & ((snr < high) | ((high == edges[-1]) & (snr == high)))
        size, count = int(inside.sum()), int(flagged[inside].sum())
        # Calibration and test spectra are of one population: the shares by S/N agree.
        calibrating = round(
            counts["calibration"] * size / max(len(snr), 1)
            + counts["faint"] * (inside & faint).sum() / max(faint.sum(), 1)
        )
        least, most = metrics.flagged_interval(size, calibrating, bundle.manifest.p_level)
        rows.append(
            {
                "snr_min": low,
                "snr_max": high,
                "n": size,
                "flagged": count,
                "share": count / size if size else math.nan,
                "n_calibration": calibrating,
                "flagged_min": least,
                "flagged_max": most,
                "within": least <= count <= most if inlier and size else None,
            }
        )
    return rows


def _recall(measured: Measured, truth: Truth, scores: AnomalyScores) -> dict[str, Any]:
    """Return recall, its kin and what they say of the scores."""
    kinds = _kinds(measured, truth)
    bright = (kinds == "") & (measured.snr > LOW_SNR)
    if not bright.any():
        raise TrainingError(
            f"none of the {int((kinds == '').sum())} ordinary eligible spectra has S/N above "
            f"{LOW_SNR:g}, so there is no threshold; give more petals"
        )
    strength = np.array([truth.strength.get(int(t), math.nan) for t in measured.targetid])
    comparison = Comparison.of(Labelled(kinds, truth.names(), strength, bright, scores))
    by_snr = [
        {"snr_min": low, "snr_max": high}
        | comparison.within((measured.snr >= low) & (measured.snr < high)).result()
        for low, high in tqdm(list(pairwise(SNR_EDGES)), desc="metrics", unit="S/N bin")
    ]
    threshold = {name: np.quantile(values[bright], 1 - LEVEL) for name, values in scores.items()}
    ineligible = Counter(truth.kind.get(int(t), "") for t in measured.ineligible)
    control = kinds == CONTROL
    rivals = [name for name in scores if name.removesuffix("_calibrated") not in OWN]
    yardstick = next((n for n in ("pca10_calibrated", "pca10") if n in scores), None)
    return {
        "clean": {
            "n": int(bright.sum()),
            "wmse_median": np.median(measured.wmse[bright]),
            "wmse_p99": np.quantile(measured.wmse[bright], 0.99),
        },
        "injected": {
            kind: {"eligible": int((kinds == kind).sum()), "ineligible": ineligible[kind]}
            for kind in (*truth.names(), CONTROL)
        },
        "threshold": threshold,
        "control": {
            "kind": CONTROL,
            "n": int(control.sum()),
            "flagged_share": {
                name: (values[control] > threshold[name]).mean() if control.any() else math.nan
                for name, values in scores.items()
            },
        },
        **comparison.result(),
        "by_snr": by_snr,
        "simpler_and_better": comparison.better(rivals),
        "missed_ratio": None if yardstick is None else comparison.missed_ratio(yardstick),
    }


def _kinds(measured: Measured, truth: Truth) -> NDArray[np.str_]:
    """Return the kind of each eligible spectrum, ``unknown`` where the truth leaves it out."""
    return np.array([truth.kind.get(int(t), "unknown") for t in measured.targetid], np.str_)


def _share(flagged: NDArray[np.bool_]) -> dict[str, Any]:
    size, count = len(flagged), int(flagged.sum())
    return {
        "n": size,
        "flagged": count,
        "share": count / size if size else math.nan,
        "interval": metrics.share_interval(count, size),
    }


def _plain(value: Any) -> Any:
    """Return what JSON can hold: plain Python, None where a number is not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
