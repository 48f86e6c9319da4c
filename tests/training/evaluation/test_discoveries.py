"""The false discovery proportion is that of nights with one or two per cent of anomalies."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluation.discoveries import NIGHTS, false_discoveries
from training.evaluation.petal_scores import PetalScores
from training.evaluation.results import FalseDiscoveries, LabelledEvaluation
from training.truth import CONTROL

PETALS, ROWS = 20, 500


def sky(inlier_power: float = 1.0, anomaly: float = 1e-9) -> tuple[PetalScores, NDArray[np.str_]]:
    """Scores of petals, 8 % injected and 2 % controls; inliers have p-values uniform to a power."""
    rng = np.random.default_rng(3)
    count = PETALS * ROWS
    drawn = rng.uniform(size=count)
    kinds = np.full(count, "", "U7")
    kinds[drawn < 0.1] = CONTROL
    kinds[drawn < 0.08] = "blend"
    kinds[rng.uniform(size=count) < 0.01] = "unknown"
    p_value = rng.uniform(size=count) ** inlier_power
    p_value[kinds == "blend"] = anomaly
    p_value[np.isin(kinds, [CONTROL, "unknown"])] = 1e-12

    unused = np.zeros(count)
    scored = PetalScores(
        targetid=np.arange(count),
        status=np.zeros(count, np.int32),
        snr=unused,
        spectype=np.full(count, "GALAXY"),
        wmse=unused,
        p_value=p_value,
        anomaly=p_value < 0.01,
        off_halpha=unused,
        petal=np.repeat(np.arange(PETALS), ROWS),
        anomaly_scores={},
        rows=count,
        ineligible=np.zeros(0, np.int64),
        ineligible_status=np.zeros(0, np.int32),
        ineligible_anomaly=np.zeros(0, np.bool_),
        seconds={},
    )
    return scored, kinds


def found(scored: PetalScores, kinds: NDArray[np.str_]) -> FalseDiscoveries:
    return false_discoveries(scored, kinds, 0.01, 1e-4)


def test_valid_p_values_give_the_level_or_less() -> None:
    result = found(*sky())
    assert result.proportion == pytest.approx(0.1, abs=0.04)
    assert result.recall == 1
    # 1 to 2 % of half of the petals, nine tenths of which are inliers.
    inliers = PETALS * ROWS / 2 * 0.9
    assert result.injected == pytest.approx(inliers * 0.015, rel=0.03)
    assert (result.nights, result.on_tail, result.set_apart) == (NIGHTS, 0, 0)


def test_inliers_with_too_small_p_values_are_found_out() -> None:
    result = found(*sky(inlier_power=1.5))
    assert result.proportion is not None
    assert result.proportion > 0.3
    assert result.standard_error is not None
    assert 0 < result.standard_error < 0.1


def test_anomalies_that_score_as_inliers_are_not_discovered() -> None:
    result = found(*sky(anomaly=0.5))
    assert result.recall == 0
    assert result.discoveries is not None
    assert result.discoveries < 1


def test_petals_that_look_faulty_are_set_apart() -> None:
    scored, kinds = sky()
    faulty = (scored.petal == 4) & (kinds == "") & (scored.targetid % 3 == 0)
    scored.p_value[faulty] = 1e-12
    assert found(scored, kinds).proportion == pytest.approx(0.1, abs=0.04)
    result = found(scored, kinds)
    assert result.set_apart is not None
    assert result.set_apart > 0


def test_a_sky_without_anomalies_has_false_discoveries_only() -> None:
    scored, kinds = sky()
    kinds[kinds == "blend"] = CONTROL
    result = found(scored, kinds)
    assert (result.injected, result.recall) == (0, 0)


def test_evaluate_reports_it(result: LabelledEvaluation) -> None:
    assert result.false_discoveries.nights == NIGHTS
    assert result.false_discoveries.injected is not None
    assert result.false_discoveries.injected >= 1
