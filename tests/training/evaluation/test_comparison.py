"""Scores compared on the same spectra: recall at common thresholds, who wins, what is missed."""

import numpy as np
import pytest

from training.evaluation.comparison import ALL, MACRO, RECALL, STRENGTH, Comparison, Labelled

INLIER = 200


@pytest.fixture(scope="module")
def spectra() -> Labelled:
    """Inliers score 0 to 199; what lies above 197.5 is found at 1 %."""
    ours = [300.0, 301, 302, 100, 303, 50, 304]
    rival = [300.0, 50, 50, 50, 301, 302, 10]
    kind = [""] * INLIER + ["step"] * 4 + ["spike"] * 2 + ["control"]
    strength = [np.nan] * INLIER + [4.0, 3, 2, 1] + [np.nan, np.nan] + [1.0]
    low = np.arange(INLIER, dtype=float)
    return Labelled(
        kind=np.array(kind),
        names=["spike", "step"],
        strength=np.array(strength),
        bright=np.array([k == "" for k in kind]),
        scores={
            "p_value": np.concatenate([low, ours]),
            "rival": np.concatenate([low, rival]),
        },
    )


@pytest.fixture(scope="module")
def comparison(spectra: Labelled) -> Comparison:
    return Comparison.of(spectra)


def test_recall_by_kind_their_mean_and_all_pooled(comparison: Comparison) -> None:
    recall = comparison.result()[RECALL]
    assert recall["p_value"] == {"spike": 0.5, "step": 0.75, MACRO: 0.625, ALL: 4 / 6}
    assert recall["rival"] == {"spike": 1.0, "step": 0.25, MACRO: 0.625, ALL: 3 / 6}


def test_controls_are_neither_inlier_nor_injected(comparison: Comparison) -> None:
    result = comparison.result()
    assert result["n_injected"] == {"spike": 2, "step": 4}
    assert result["n_inlier"] == INLIER
    assert "control" not in result[RECALL]["p_value"]


def test_every_estimate_lies_in_its_interval(comparison: Comparison) -> None:
    result = comparison.result()
    for metric in (RECALL, "auroc", "auprc_at_1pct_prevalence", "precision_at_100"):
        for score, by_kind in result[metric].items():
            for kind, value in by_kind.items():
                low, high = result[f"{metric}_interval"][score][kind]
                assert low <= value <= high, (metric, score, kind)


def test_the_strength_at_half_recall_lies_between_found_and_missed(
    comparison: Comparison,
) -> None:
    halves = comparison.result()[STRENGTH]["p_value"]
    # 4, 3 and 2 are found, 1 is missed.
    assert 1 < halves["step"] < 2
    assert np.isnan(halves["spike"])
    assert MACRO not in halves


def test_the_rival_that_wins_a_kind_is_named(comparison: Comparison) -> None:
    (winner,) = comparison.better(["rival"])
    assert (winner["kind"], winner["score"]) == ("spike", "rival")
    assert (winner["recall"], winner["recall_of_p_value"]) == (1.0, 0.5)
    # One spectrum found by the rival alone says nothing.
    assert winner["chance"] == 1.0


def test_what_is_missed_is_compared_by_macro_recall(comparison: Comparison) -> None:
    assert comparison.missed_ratio("rival")["ratio"] == pytest.approx(1.0)


def test_a_narrower_comparison_keeps_the_thresholds_of_all(
    spectra: Labelled, comparison: Comparison
) -> None:
    inside = np.zeros(len(spectra.kind), np.bool_)
    # The lower half of the inliers, and a step of anomaly score 100.
    inside[: INLIER // 2] = True
    inside[INLIER + 3] = True
    result = comparison.within(inside).result()
    assert result["n_inlier"] == INLIER // 2
    assert result["n_injected"] == {"spike": 0, "step": 1}
    # Stranger than all its neighbours, and yet below the threshold of all.
    assert result["auroc"]["p_value"]["step"] == 1.0
    assert result[RECALL]["p_value"]["step"] == 0.0
    assert np.isnan(result[RECALL]["p_value"]["spike"])
    assert result[RECALL]["p_value"][MACRO] == 0.0


def test_a_range_without_inlier_spectra_still_has_recall(
    spectra: Labelled, comparison: Comparison
) -> None:
    result = comparison.within(spectra.kind == "step").result()
    assert result[RECALL]["p_value"]["step"] == 0.75
    assert np.isnan(result["auroc"]["p_value"]["step"])
    assert np.isnan(result["precision_at_100"]["p_value"]["step"])
