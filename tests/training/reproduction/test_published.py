"""What the paper states is stated once, with a tolerance."""

import math

import pytest

from training.model.card import PAPER_WMSE
from training.plots.histograms import PAPER_THRESHOLDS, PAPER_TOP
from training.reproduction.published import PublishedNumber, published

NUMBERS = {one.name: one for one in published().number}


@pytest.mark.parametrize("one", published().number, ids=lambda one: one.name)
def test_a_number_agrees_within_its_tolerance_only(one: PublishedNumber) -> None:
    assert (one.within is None) != (one.within_share is None)
    # Wider than the last digit that is printed, and narrower than any other result.
    assert 0 < one.tolerance <= 0.3 * abs(one.value)
    for sign in (-1, 1):
        assert one.agrees(one.value + sign * 0.99 * one.tolerance)
        assert not one.agrees(one.value + sign * 1.01 * one.tolerance)
    assert not one.agrees(math.nan)


def test_the_numbers_are_those_that_reports_and_figures_show() -> None:
    shown = {f"wmse_{name}": value for name, value in PAPER_WMSE.items()}
    shown |= {f"threshold_{name}": value for name, value in PAPER_THRESHOLDS.items()}
    shown |= {
        f"top_{by}_{name}": value for by, row in PAPER_TOP.items() for name, value in row.items()
    }
    assert {name: NUMBERS[name].value for name in shown} == shown


def test_every_targetid_is_there_once_and_the_outliers_are_ranked() -> None:
    targetids = [one.targetid for one in published().spectrum]
    assert len(set(targetids)) == len(targetids) == 14
    # DESI's TARGETIDs of Legacy Survey targets have 17 digits.
    assert {len(str(one)) for one in targetids} == {17}
    assert [one.rank for one in published().outliers] == [1, 2, 3, 4]
    assert len(published().inliers) == 10
