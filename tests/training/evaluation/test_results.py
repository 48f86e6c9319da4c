"""Results are the same in memory and in the JSON file."""

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.evaluation.results import (
    Evaluation,
    FlaggedShare,
    LabelledEvaluation,
    MissedRatio,
)


def test_the_file_holds_what_is_returned(result: LabelledEvaluation, numbers: Path) -> None:
    assert LabelledEvaluation.model_validate_json(numbers.read_text()) == result


@pytest.mark.usefixtures("result")
def test_keys_of_the_file_are_those_that_users_store(numbers: Path) -> None:
    stored = json.loads(numbers.read_text())
    common = {
        *("model", "bundle", "folder", "truth", "notes", "counts", "reconstruction_probability"),
        *("p_level", "calibration", "flagged_by_spectype", "wmse_by_spectype"),
        *("flagged_by_petal", "too_good"),
    }
    metrics = {
        *("recall_at_1pct", "auroc", "auprc_at_1pct_prevalence", "precision_at_100"),
        "strength_at_half_recall",
    }
    metrics |= {f"{name}_interval" for name in metrics} | {"n_inlier", "n_injected"}
    labelled = {
        *(
            "clean",
            "injected",
            "injected_flagged",
            "threshold",
            "control",
            "by_snr",
            "simpler_and_better",
        ),
        *("missed_ratio", "false_discoveries", "extreme_halpha_continuum"),
    }
    assert set(stored) == common | metrics | labelled
    assert set(stored["by_snr"][0]) == metrics | {"snr_min", "snr_max"}


def test_numbers_that_are_not_finite_are_null() -> None:
    ratio = MissedRatio(score="pca10", ratio=math.nan, interval=(0.5, math.inf))
    assert (ratio.ratio, ratio.interval) == (None, (0.5, None))
    text = ratio.model_dump_json()
    assert json.loads(text) == {"score": "pca10", "ratio": None, "interval": [0.5, None]}
    assert MissedRatio.model_validate_json(text) == ratio


def test_results_are_frozen() -> None:
    share = FlaggedShare(n=2, flagged=1, share=0.5, interval=(0.1, 0.9))
    with pytest.raises(ValidationError, match="frozen"):
        share.n = 3  # type: ignore[misc]


def test_a_file_without_a_truth_is_an_evaluation(result: LabelledEvaluation) -> None:
    fields = {name: getattr(result, name) for name in Evaluation.model_fields}
    plain = Evaluation(**fields)
    assert Evaluation.model_validate_json(plain.model_dump_json()) == plain
