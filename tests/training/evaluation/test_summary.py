"""The summary has every number that is asked of a model, as the evaluation has it."""

from training.evaluation.results import LabelledEvaluation
from training.evaluation.summary import Setting, markdown, numbers, recalls, rows

SETTING = Setting(1.0, 0.01)


def test_numbers_are_those_of_the_evaluation(result: LabelledEvaluation) -> None:
    found = numbers(result)
    galaxy = result.flagged_by_spectype["GALAXY"]
    assert galaxy.share is not None
    assert found["inliers flagged, GALAXY (%)"] == 100 * galaxy.share
    assert found["GALAXY within its 99 % interval"] == galaxy.within
    assert found["S/N quartile 4 within its 99 % interval"] == result.calibration[-1].within
    assert found["injected flagged by anomaly"] == result.injected_flagged["all"].share
    assert found["OUT_OF_POPULATION rows"] == result.counts.left_out["OUT_OF_POPULATION"].n
    assert found["EXTRAPOLATED rows flagged"] == 0
    proportion = result.false_discoveries.proportion
    assert found["false discovery proportion at q = 10 %"] == proportion


def test_every_score_and_kind_has_its_recall(result: LabelledEvaluation) -> None:
    found = recalls(result)
    assert len(found) == len(result.recall_at_1pct) + len(result.n_injected)
    assert found["recall, blend"] == result.recall_at_1pct["p_value"]["blend"]
    assert found["macro recall, paper's VAE: NOF"] == result.recall_at_1pct["paper_nof"]["macro"]


def test_a_class_that_no_sky_has_is_a_dash(result: LabelledEvaluation) -> None:
    classes = {name: row for name, row in result.flagged_by_spectype.items() if name != "QSO"}
    without = result.model_copy(update={"flagged_by_spectype": classes})
    results = {SETTING: [without], Setting(0.0, 0.0): [result]}
    assert "| inliers flagged, QSO (%) | – | " in markdown(results, [31])
    quantities = {row["quantity"] for row in rows({SETTING: [without]})}
    assert "inliers flagged, GALAXY (%)" in quantities
    assert "inliers flagged, QSO (%)" not in quantities


def test_settings_have_names() -> None:
    assert SETTING.name == "nuisances 1, 1 % anomalies"
    assert Setting(0.0, 0.0).name == "no nuisances, clean"
