"""What is reported of a model on a sky with known anomalies, and on one without a truth."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from outcrop import Scores
from training import TrainingError
from training.evaluation.evaluate import evaluate
from training.evaluation.results import LabelledEvaluation
from training.truth import CONTROL


@pytest.mark.parametrize("score", ["p_value", "wmse", "nof"])
def test_recall_is_that_of_the_served_scores(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_], score: str
) -> None:
    anomaly_score = {"p_value": -served.p_value, "wmse": served.wmse, "nof": -served.nof}[score]
    inlier = served.eligible & (kind == "") & (served.snr > 5)
    threshold = np.quantile(anomaly_score[inlier], 0.99, method="higher")
    kinds = sorted(set(kind) - {"", "unknown", CONTROL})
    expected = {k: np.mean(anomaly_score[served.eligible & (kind == k)] > threshold) for k in kinds}

    recall = result.recall_at_1pct[score]
    assert {k: recall[k] for k in kinds} == pytest.approx(expected, abs=1e-6)
    assert recall["macro"] == pytest.approx(np.mean([*expected.values()]), abs=1e-6)


def test_wmse_of_inliers_is_the_served_one(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    inlier = served.eligible & (kind == "") & (served.snr > 5)
    clean = result.clean
    assert clean.n == inlier.sum()
    assert clean.wmse_median == pytest.approx(np.median(served.wmse[inlier]), rel=1e-6)
    assert clean.wmse_p99 == pytest.approx(np.quantile(served.wmse[inlier], 0.99), rel=1e-6)


def test_the_continuum_beside_an_extreme_line_is_that_of_the_served_reconstruction(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    chosen = served[served.eligible & (kind == "extreme_halpha")]
    assert chosen.rest_flux is not None
    assert chosen.rest_ivar is not None
    assert chosen.rest_wave is not None
    assert chosen.reconstruction is not None
    off = np.abs(chosen.rest_wave - 6564.61) > 60
    expected = []
    for flux, ivar, model in zip(
        chosen.rest_flux, chosen.rest_ivar, chosen.reconstruction, strict=True
    ):
        used = off & (ivar > 0)
        expected.append(np.mean(ivar[used] * (flux[used] - model[used]).astype(float) ** 2))

    found = result.extreme_halpha_continuum
    assert found.n == len(expected) > 0
    assert found.median == pytest.approx(np.median(expected), rel=1e-4)
    assert found.p90 == pytest.approx(np.quantile(expected, 0.9), rel=1e-4)


def test_every_score_has_its_calibrated_form(result: LabelledEvaluation) -> None:
    raw = {
        *("wmse", "nof", "expected_wmse", "reconstruction_probability", "pca10", "pca50"),
        *("isolation_forest", "lof", "largest_bin", "join_step", "paper_wmse", "paper_nof"),
    }
    expected = raw | {f"{name}_calibrated" for name in raw} | {"p_value", "p_value_pooled"}
    assert set(result.recall_at_1pct) == expected
    assert set(result.recall_at_1pct_interval) == expected


def test_the_pooled_p_value_is_compared_as_it_is_served(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    score = -served.p_value_pooled
    threshold = np.quantile(score[served.eligible & (kind == "") & (served.snr > 5)], 0.99)
    blend = served.eligible & (kind == "blend")
    expected = np.mean(score[blend] > threshold)
    assert result.recall_at_1pct["p_value_pooled"]["blend"] == pytest.approx(expected)
    assert any("pooled p-value" in note for note in result.notes)


def test_the_papers_model_is_evaluated_as_ours_is(result: LabelledEvaluation) -> None:
    recall = result.recall_at_1pct
    for name in ("wmse", "nof", "wmse_calibrated", "nof_calibrated"):
        assert recall[f"paper_{name}"] == pytest.approx(recall[name], abs=1e-6)


def test_the_control_has_a_flagged_share_and_no_recall(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    for by_kind in result.recall_at_1pct.values():
        assert CONTROL not in by_kind

    inlier = served.eligible & (kind == "") & (served.snr > 5)
    control = served.eligible & (kind == CONTROL)
    threshold = np.quantile(-np.log(served.p_value[inlier]), 0.99)
    expected = np.mean(-np.log(served.p_value[control]) > threshold)
    assert (result.control.kind, result.control.n) == (CONTROL, control.sum())
    assert result.control.flagged_share["p_value"] == pytest.approx(expected)


def test_injected_spectra_are_all_counted(result: LabelledEvaluation, odd_sky: Path) -> None:
    with (odd_sky / "truth.csv").open() as file:
        injected = sum(row["KIND"] != "" for row in csv.DictReader(file))
    counted = sum(counts.eligible + counts.ineligible for counts in result.injected.values())
    assert counted == injected


def test_injected_spectra_flagged_are_those_the_scorer_flags(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    injected = set(kind) - {"", "unknown", CONTROL}
    chosen = {name: served.eligible & (kind == name) for name in injected}
    chosen["all"] = served.eligible & np.isin(kind, sorted(injected))
    assert set(result.injected_flagged) == set(chosen)
    for name, found in result.injected_flagged.items():
        assert found.n == chosen[name].sum()
        assert found.flagged == served.anomaly[chosen[name]].sum()
    everything = result.injected_flagged["all"]
    low, high = everything.interval
    assert low is not None
    assert high is not None
    assert everything.share is not None
    assert 0 < low < everything.share < high <= 1


def test_the_tables_are_printed(
    bundle: Path, odd_sky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(bundle, odd_sky)
    printed = capsys.readouterr().out
    assert isinstance(found, LabelledEvaluation)
    assert "p-value, as served" in printed
    assert f"of {found.counts.rows} spectra {found.counts.eligible} are" in printed.lower()
    assert (
        f"{found.injected_flagged['all'].flagged} of {found.injected_flagged['all'].n}" in printed
    )
    assert f"{found.recall_at_1pct['p_value']['macro']:.2f}" in printed
    # This bundle's eigenspectra are five, and without --train there are no others.
    assert "pca5" in found.recall_at_1pct
    assert "pca10" not in found.recall_at_1pct
    assert "--train" in printed
    assert "not DESI performance" in printed


def test_without_a_truth_everything_that_needs_none_is_evaluated(
    bundle: Path, unlabelled: Path, served: Scores, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(bundle, unlabelled)
    assert not found.truth
    assert not isinstance(found, LabelledEvaluation)
    assert "no truth.csv" in capsys.readouterr().out
    assert found.counts.eligible == served.eligible.sum()
    assert found.flagged_by_spectype["all"].flagged == served.anomaly.sum()
    # Real anomalies may be among them, so the flagged number is not judged.
    assert {row.within for row in found.calibration} == {None}


def test_a_note_says_that_the_baselines_have_another_sample(
    bundle: Path, unlabelled: Path, sky: Path, odd_sky: Path
) -> None:
    found = evaluate(bundle, unlabelled, train=[sky, odd_sky])
    assert any("fitted on other spectra" in note for note in found.notes)


def test_a_note_says_that_the_model_was_trained_on_these_spectra(bundle: Path, sky: Path) -> None:
    found = evaluate(bundle, sky)
    assert isinstance(found, LabelledEvaluation)
    # Nothing is injected on that sky either.
    assert any("there is no recall" in note for note in found.notes)
    assert found.recall_at_1pct["p_value"] == {"macro": None, "all": None}
    assert any("was trained on" in note and "evaluated" in note for note in found.notes)


def test_a_folder_without_petals_is_rejected(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no pair of coadd"):
        evaluate(bundle, tmp_path)
