"""The canary detects a scorer whose scores differ from those of training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_store.bundle import Bundle
from outcrop import Scores
from scoring.canary import MARGIN, TOLERANCE, Canary
from scoring.scorer import Scorer
from tests.failing_bundle import failing_bundle


@pytest.fixture(scope="module")
def canary(bundle: Path) -> Canary:
    return Canary.from_arrays(Bundle.open(bundle).arrays("canary.npz"))


@pytest.fixture(scope="module")
def scores(canary: Canary, scorer: Scorer) -> Scores:
    return scorer.score(canary.spectra)


def test_its_own_model_agrees(canary: Canary, scorer: Scorer) -> None:
    difference = canary.check(scorer)
    assert not difference
    assert difference.relative < TOLERANCE
    assert difference.p_values == 0


def test_it_holds_inliers_and_anomalies(canary: Canary, scores: Scores) -> None:
    assert scores.eligible.all()
    assert 0 < canary.flags["anomaly"].sum() < len(scores)


def test_no_spectrum_is_near_a_threshold(scores: Scores, scorer: Scorer) -> None:
    thresholds = scorer.model.thresholds
    for values, threshold in (
        (scores.wmse, thresholds["wmse"]),
        (scores.nof, thresholds["nof"]),
        (scores.p_value, scorer.model.p_level),
    ):
        # The scores of training are beyond the margin; these differ from them by rounding.
        assert (np.abs(values / threshold - 1) > MARGIN - TOLERANCE).all()


@pytest.mark.parametrize("name", ["wmse", "nof"])
@pytest.mark.parametrize("factor", [1.002, 0.998, np.nan])
def test_other_scores_disagree(canary: Canary, scores: Scores, name: str, factor: float) -> None:
    changed = getattr(scores, name).copy()
    changed[-1] *= factor
    assert canary.compare(replace(scores, **{name: changed}))


@pytest.mark.parametrize("name", ["p_value", "p_value_pooled"])
@pytest.mark.parametrize("value", [0.0, 1.2, np.nan])
def test_another_p_value_disagrees(canary: Canary, scores: Scores, name: str, value: float) -> None:
    changed = getattr(scores, name).copy()
    changed[0] *= value
    difference = canary.compare(replace(scores, **{name: changed}))
    assert difference
    assert (difference.flags, difference.p_values) == (0, 1)


def test_a_changed_flag_disagrees(canary: Canary, scores: Scores) -> None:
    flags = scores.anomaly.copy()
    flags[0] = ~flags[0]
    difference = canary.compare(replace(scores, anomaly=flags))
    assert difference
    assert difference.flags == 1


def test_arrays_hold_the_whole_canary(canary: Canary, scorer: Scorer) -> None:
    assert not Canary.from_arrays(canary.to_arrays()).check(scorer)


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_a_model_that_gives_no_scores_disagrees(
    canary: Canary, bundle: Path, tmp_path: Path, value: float
) -> None:
    failing = failing_bundle(bundle, tmp_path / "failing", value, below=np.inf)
    found = canary.check(Scorer.open(failing))
    assert found
    assert found.relative == np.inf
