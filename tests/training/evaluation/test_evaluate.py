"""What is reported of a model on a sky with known anomalies, and on one without a truth."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop import Scores, read_spectra
from outcrop.desi import Petal, find_petals
from scoring.scorer import Scorer
from training import TrainingError
from training.evaluation.evaluate import CONTROL, PAPER_WMSE, evaluate


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("numbers") / "evaluation.json"


@pytest.fixture(scope="module")
def result(bundle: Path, odd_sky: Path, sky: Path, numbers: Path) -> dict[str, Any]:
    """With baselines, and the same model standing in for the paper's."""
    return evaluate(bundle, odd_sky, numbers, train=[sky], paper=bundle)


@pytest.fixture(scope="module")
def served(bundle: Path, odd_sky: Path) -> Scores:
    petal = find_petals(odd_sky)[0]
    return Scorer.open(bundle).score(read_spectra(petal.coadd, petal.redrock))


@pytest.fixture(scope="module")
def kind(odd_sky: Path, served: Scores) -> np.ndarray:
    with (odd_sky / "truth.csv").open() as file:
        truth = {int(row["TARGETID"]): row["KIND"] for row in csv.DictReader(file)}
    return np.array([truth.get(int(t), "no target") for t in served.targetid])


@pytest.fixture
def unlabelled(tmp_path: Path, petal: Petal) -> Path:
    """The odd sky's petal in a folder without truth.csv."""
    for path in (petal.coadd, petal.redrock):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_the_file_holds_what_is_returned(result: dict[str, Any], numbers: Path) -> None:
    assert json.loads(numbers.read_text()) == result


@pytest.mark.parametrize("score", ["p_value", "wmse", "nof"])
def test_recall_is_that_of_the_served_scores(
    result: dict[str, Any], served: Scores, kind: np.ndarray, score: str
) -> None:
    stranger = {"p_value": -served.p_value, "wmse": served.wmse, "nof": -served.nof}[score]
    inlier = served.eligible & (kind == "") & (served.snr > 5)
    threshold = np.quantile(stranger[inlier], 0.99)
    recall = result["recall_at_1pct"][score]
    kinds = sorted(set(kind) - {"", "no target", CONTROL})
    expected = {k: np.mean(stranger[served.eligible & (kind == k)] > threshold) for k in kinds}
    assert {k: recall[k] for k in kinds} == pytest.approx(expected, abs=1e-6)
    assert recall["macro"] == pytest.approx(np.mean([*expected.values()]), abs=1e-6)


def test_wmse_of_inlier_spectra_is_the_served_one(
    result: dict[str, Any], served: Scores, kind: np.ndarray
) -> None:
    inlier = served.eligible & (kind == "") & (served.snr > 5)
    clean = result["clean"]
    assert clean["n"] == inlier.sum()
    assert clean["wmse_median"] == pytest.approx(np.median(served.wmse[inlier]), rel=1e-6)
    assert clean["wmse_p99"] == pytest.approx(np.quantile(served.wmse[inlier], 0.99), rel=1e-6)


def test_every_score_stands_beside_its_calibrated_form(result: dict[str, Any]) -> None:
    raw = {
        *("wmse", "nof", "expected_wmse", "reconstruction_probability", "pca10", "pca50"),
        *("isolation_forest", "lof", "largest_bin", "join_step", "paper_wmse", "paper_nof"),
    }
    expected = raw | {f"{name}_calibrated" for name in raw} | {"p_value"}
    assert set(result["recall_at_1pct"]) == expected
    assert set(result["recall_at_1pct_interval"]) == expected


def test_the_papers_model_is_measured_as_ours_is(result: dict[str, Any]) -> None:
    recall = result["recall_at_1pct"]
    for name in ("wmse", "nof", "wmse_calibrated", "nof_calibrated"):
        assert recall[f"paper_{name}"] == pytest.approx(recall[name], abs=1e-6)


def test_the_control_has_a_flagged_share_and_no_recall(result: dict[str, Any]) -> None:
    for by_kind in result["recall_at_1pct"].values():
        assert CONTROL not in by_kind
    assert result["control"]["kind"] == CONTROL
    assert 0 <= result["control"]["flagged_share"]["p_value"] <= 1


def test_injected_spectra_are_all_accounted_for(result: dict[str, Any], odd_sky: Path) -> None:
    with (odd_sky / "truth.csv").open() as file:
        injected = sum(row["KIND"] != "" for row in csv.DictReader(file))
    counted = sum(sum(counts.values()) for counts in result["injected"].values())
    assert counted == injected


def test_each_quartile_of_snr_and_the_faintest_have_a_flagged_number(
    result: dict[str, Any], served: Scores, kind: np.ndarray
) -> None:
    faint, *quartiles = result["calibration"]
    inlier = served.eligible & (kind == "")
    assert (faint["snr_min"], faint["snr_max"]) == (1, 5)
    assert faint["n"] == (inlier & (served.snr < 5)).sum()
    assert sum(row["n"] for row in quartiles) == inlier.sum()
    assert sum(row["flagged"] for row in quartiles) == (inlier & (served.p_value < 0.01)).sum()
    for row in quartiles:
        assert row["within"] == (row["flagged_min"] <= row["flagged"] <= row["flagged_max"])


def test_reconstruction_error_by_class_stands_beside_the_papers(result: dict[str, Any]) -> None:
    for name, paper in PAPER_WMSE.items():
        assert result["wmse_by_spectype"][name]["paper_mean"] == paper
    assert result["wmse_by_spectype"]["GALAXY"]["n"] > 100


def test_the_tables_are_printed(
    bundle: Path, odd_sky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = evaluate(bundle, odd_sky)
    printed = capsys.readouterr().out
    assert "p-value, as served" in printed
    assert f"{measured['recall_at_1pct']['p_value']['macro']:.2f}" in printed
    # This bundle's eigenspectra are five, and without --train there are no others.
    assert "pca5" in measured["recall_at_1pct"]
    assert "pca10" not in measured["recall_at_1pct"]
    assert "--train" in printed
    assert "not DESI performance" in printed


def test_without_a_truth_all_that_needs_none_is_measured(
    bundle: Path, unlabelled: Path, served: Scores, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = evaluate(bundle, unlabelled)
    assert measured["truth"] is False
    assert "recall_at_1pct" not in measured
    assert "no truth.csv" in capsys.readouterr().out
    assert measured["counts"]["eligible"] == served.eligible.sum()
    assert measured["flagged_by_spectype"]["all"]["flagged"] == served.anomaly.sum()
    # Real anomalies may be among them, so nothing is judged.
    assert {row["within"] for row in measured["calibration"]} == {None}


def test_baselines_of_another_sample_are_said_to_be_so(
    bundle: Path, unlabelled: Path, odd_sky: Path
) -> None:
    measured = evaluate(bundle, unlabelled, train=[odd_sky])
    assert any("fitted on other spectra" in note for note in measured["notes"])


def test_a_model_measured_on_its_own_training_spectra_is_said_to_be(
    bundle: Path, sky: Path
) -> None:
    measured = evaluate(bundle, sky)
    # Nor is anything injected on that sky.
    assert any("there is no recall" in note for note in measured["notes"])
    assert measured["recall_at_1pct"]["p_value"] == {"macro": None, "all": None}
    assert any("was trained on" in note and "measured" in note for note in measured["notes"])


def test_a_folder_without_petals_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no pair of coadd"):
        evaluate(bundle, tmp_path)


def test_a_truth_without_kinds_is_refused_by_name(bundle: Path, unlabelled: Path) -> None:
    (unlabelled / "truth.csv").write_text("TARGETID,CLASS\n1,odd\n")
    with pytest.raises(TrainingError, match=r"truth\.csv: KeyError\('KIND'\)"):
        evaluate(bundle, unlabelled)
