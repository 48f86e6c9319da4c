"""Scores on the same spectra: recall at common thresholds, better baselines, missed shares."""

import numpy as np
import pytest

from training.evaluation.comparison import ALL, MACRO, Comparison, LabelledScores

INLIER = 200


@pytest.fixture(scope="module")
def spectra() -> LabelledScores:
    """Inliers score 0 to 199; injected spectra above 197.5 are found at 1 %."""
    ours = [300.0, 301, 302, 100, 303, 50, 304]
    baseline = [300.0, 50, 50, 50, 301, 302, 10]
    kind = [""] * INLIER + ["step"] * 4 + ["spike"] * 2 + ["control"]
    strength = [np.nan] * INLIER + [4.0, 3, 2, 1] + [np.nan, np.nan] + [1.0]
    low = np.arange(INLIER, dtype=float)
    return LabelledScores(
        kind=np.array(kind),
        names=["spike", "step"],
        strength=np.array(strength),
        bright=np.array([k == "" for k in kind]),
        scores={
            "p_value": np.concatenate([low, ours]),
            "baseline": np.concatenate([low, baseline]),
        },
    )


@pytest.fixture(scope="module")
def comparison(spectra: LabelledScores) -> Comparison:
    return Comparison.of(spectra)


def test_recall_by_kind_their_mean_and_all_pooled(comparison: Comparison) -> None:
    recall = comparison.result().recall_at_1pct
    assert recall["p_value"] == {"spike": 0.5, "step": 0.75, MACRO: 0.625, ALL: 4 / 6}
    assert recall["baseline"] == {"spike": 1.0, "step": 0.25, MACRO: 0.625, ALL: 3 / 6}


def test_controls_are_neither_inlier_nor_injected(comparison: Comparison) -> None:
    result = comparison.result()
    assert result.n_injected == {"spike": 2, "step": 4}
    assert result.n_inlier == INLIER
    assert "control" not in result.recall_at_1pct["p_value"]


def test_every_estimate_lies_in_its_interval(comparison: Comparison) -> None:
    result = comparison.result()
    for metric in ("recall_at_1pct", "auroc", "auprc_at_1pct_prevalence", "precision_at_100"):
        intervals = getattr(result, f"{metric}_interval")
        for score, by_kind in getattr(result, metric).items():
            for kind, value in by_kind.items():
                low, high = intervals[score][kind]
                assert low <= value <= high, (metric, score, kind)


def test_the_strength_at_half_recall_lies_between_found_and_missed(
    comparison: Comparison,
) -> None:
    halves = comparison.result().strength_at_half_recall["p_value"]
    # 4, 3 and 2 are found, 1 is missed.
    half = halves["step"]
    assert half is not None
    assert 1 < half < 2
    assert halves["spike"] is None
    assert MACRO not in halves


def test_the_baseline_that_finds_more_of_a_kind_is_named(comparison: Comparison) -> None:
    (better,) = comparison.better_baselines(["baseline"])
    assert (better.kind, better.score) == ("spike", "baseline")
    assert (better.recall, better.recall_of_p_value) == (1.0, 0.5)
    # One spectrum found by the baseline alone proves nothing.
    assert better.chance == 1.0


def test_missed_shares_are_compared_by_macro_recall(comparison: Comparison) -> None:
    assert comparison.missed_ratio("baseline").ratio == pytest.approx(1.0)


def test_a_narrower_comparison_keeps_the_thresholds_of_all(
    spectra: LabelledScores, comparison: Comparison
) -> None:
    inside = np.zeros(len(spectra.kind), np.bool_)
    # The lower half of the inliers, and a step of anomaly score 100.
    inside[: INLIER // 2] = True
    inside[INLIER + 3] = True
    result = comparison.within(inside).result()
    assert result.n_inlier == INLIER // 2
    assert result.n_injected == {"spike": 0, "step": 1}
    # More anomalous than all inliers in the range, and yet below the threshold of all.
    assert result.auroc["p_value"]["step"] == 1.0
    assert result.recall_at_1pct["p_value"]["step"] == 0.0
    assert result.recall_at_1pct["p_value"]["spike"] is None
    assert result.recall_at_1pct["p_value"][MACRO] == 0.0


def test_a_range_without_inliers_still_has_recall(
    spectra: LabelledScores, comparison: Comparison
) -> None:
    result = comparison.within(spectra.kind == "step").result()
    assert result.recall_at_1pct["p_value"]["step"] == 0.75
    assert result.auroc["p_value"]["step"] is None
    assert result.precision_at_100["p_value"]["step"] is None
