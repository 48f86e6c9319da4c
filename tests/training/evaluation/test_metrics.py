"""Metrics: values worked out by hand, and the bootstrap's against scikit-learn's."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluation import metrics

INLIER = np.arange(100.0)


def rates(injected: list[float], inlier: NDArray[np.float64] = INLIER) -> NDArray[np.float64]:
    once = np.ones((1, len(inlier)), np.int32)
    return metrics.false_positive_rates(inlier, np.array(injected), once)


@pytest.fixture(scope="module")
def drawn() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(3)
    return rng.normal(size=3000), rng.normal(1.5, 1.5, size=120)


def test_the_rate_is_the_share_of_inliers_that_are_more_anomalous() -> None:
    np.testing.assert_allclose(rates([1000.0, 98.5, 49.5, -1.0])[0], [0, 0.01, 0.5, 1])


def test_a_tie_counts_half() -> None:
    np.testing.assert_allclose(rates([99.0, 0.0])[0], [0.005, 0.995])


def test_without_inliers_nothing_is_known() -> None:
    empty = np.empty(0)
    assert np.isnan(rates([1.0, 2.0], empty)).all()
    assert np.isnan(metrics.resampled_auroc(rates([1.0, 2.0], empty))).all()
    assert np.isnan(metrics.auroc(empty, INLIER))
    assert np.isnan(metrics.average_precision(empty, INLIER))
    assert np.isnan(metrics.precision_at(rates([1.0] * 200, empty), 0)).all()


def test_without_injected_spectra_nothing_is_known() -> None:
    none = rates([])
    for metric in (metrics.recall, metrics.resampled_auroc, metrics.resampled_average_precision):
        assert np.isnan(metric(none)).all()
    assert np.isnan(metrics.auroc(INLIER, np.empty(0)))
    assert np.isnan(metrics.average_precision(INLIER, np.empty(0)))
    assert np.isnan(metrics.precision_at(none, 100)).all()


def test_recall_counts_what_lies_above_the_quantile() -> None:
    # One of 100 inliers may be more anomalous: 98.5 is found, 97.5 is not.
    injected = np.array([98.5, 97.5, 200.0, -3.0])
    assert metrics.recall_at(injected, INLIER) == 0.5
    assert metrics.recall_at(injected, INLIER, 0.02) == 0.75


def test_recall_is_that_of_the_99th_percentile(
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    inlier, injected = drawn
    expected = np.mean(injected > np.quantile(inlier, 0.99))
    assert metrics.recall_at(injected, inlier) == pytest.approx(expected)


def test_average_precision_by_hand() -> None:
    # The most anomalous injected has none above it, precision 1. At the second, half of the
    # inliers are above: all injected are then 0.2 of the sample's weight, 0.8 x 0.5 are false.
    expected = pytest.approx((1 + 0.2 / 0.6) / 2)
    assert metrics.average_precision(INLIER, np.array([100.0, 49.5]), 0.2) == expected
    assert metrics.resampled_average_precision(rates([100.0, 49.5]), 0.2)[0] == expected


def test_area_under_the_curve_by_hand() -> None:
    # Of four pairs, three have the injected spectrum above, and one is a tie.
    assert metrics.auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == 0.875


def test_resampled_areas_are_those_of_scikit_learn(
    drawn: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    inlier, injected = drawn
    rng = np.random.default_rng(4)
    counts = metrics.inlier_resamples(len(inlier), 3, rng)
    which = metrics.injected_resamples(len(injected), 3, rng)
    found = metrics.false_positive_rates(inlier, injected, counts)
    found = found[np.arange(4)[:, None], which]

    areas = metrics.resampled_auroc(found)
    precisions = metrics.resampled_average_precision(found, 0.01)
    for row in range(4):
        resample = np.repeat(inlier, counts[row]), injected[which[row]]
        assert areas[row] == pytest.approx(metrics.auroc(*resample))
        # Resampled ties are one step of scikit-learn's curve and several of ours.
        precise = 1e-9 if row == 0 else 0.02
        expected = metrics.average_precision(*resample, 0.01)
        assert precisions[row] == pytest.approx(expected, rel=precise)


def test_precision_at_a_rank_by_hand() -> None:
    # The inliers 99 and 98 lie between the injected ones: of the top four two are injected.
    assert metrics.precision_at(rates([500.0, 97.5, 3.5]), 100, rank=4)[0] == 0.5
    assert metrics.precision_at(rates([500.0, 97.5, 3.5]), 100, rank=1)[0] == 1


def test_precision_at_a_rank_needs_that_many_spectra() -> None:
    assert np.isnan(metrics.precision_at(rates([1.0]), 100, rank=102)).all()


def test_row_zero_of_the_resamples_is_the_sample_itself() -> None:
    rng = np.random.default_rng(0)
    counts = metrics.inlier_resamples(50, 20, rng)
    assert (counts[0] == 1).all()
    assert (counts.sum(axis=1) == 50).all()
    drawn = metrics.injected_resamples(7, 20, rng)
    np.testing.assert_array_equal(drawn[0], np.arange(7))
    assert drawn.shape == (21, 7)
    assert drawn.max() < 7


def test_the_bootstrap_knows_how_uncertain_a_recall_is() -> None:
    rng = np.random.default_rng(1)
    inlier, injected = rng.normal(size=2000), rng.normal(2.3, 1, size=100)
    counts = metrics.inlier_resamples(len(inlier), 400, rng)
    which = metrics.injected_resamples(len(injected), 400, rng)

    found = metrics.false_positive_rates(inlier, injected, counts)
    resampled = metrics.recall(found[np.arange(401)[:, None], which])
    low, high = metrics.interval(resampled)
    # The binomial part alone is 1.96 x sqrt(0.25 / 100) = 0.1 to either side.
    assert low < resampled[0] - 0.07
    assert high > resampled[0] + 0.07
    assert high - low < 0.35


def test_half_is_found_at_the_strength_where_it_was_made_so() -> None:
    rng = np.random.default_rng(2)
    strength = np.exp(rng.uniform(np.log(0.1), np.log(10), (1, 4000)))
    is_found = rng.random(strength.shape) < 1 / (1 + (1.5 / strength) ** 3)
    (half,) = metrics.strength_at_half_recall(strength, is_found)
    assert half == pytest.approx(1.5, rel=0.08)


def test_half_lies_between_found_and_missed_where_they_do_not_overlap() -> None:
    strength = np.array([[1.0, 2.0, 4.0, 8.0, np.nan]])
    is_found = np.array([[False, False, True, True, False]])
    assert metrics.strength_at_half_recall(strength, is_found)[0] == pytest.approx(np.sqrt(8))


def test_half_beyond_the_injected_strengths_is_no_number() -> None:
    strength = np.array([[1.0, 2.0, 4.0, 8.0]] * 2)
    is_found = np.array([[True] * 4, [False] * 4])
    np.testing.assert_array_equal(metrics.strength_at_half_recall(strength, is_found), [0, np.inf])
    one_strength = np.full((1, 4), 3.0)
    assert np.isnan(metrics.strength_at_half_recall(one_strength, is_found[:1]))[0]


def test_an_exact_interval_by_hand() -> None:
    # None of n: the upper bound solves (1 - p)^n = 0.025.
    low, high = metrics.share_interval(0, 20)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert np.isnan(metrics.share_interval(0, 0)).all()


def test_the_flagged_number_scatters_more_when_calibration_is_noisy() -> None:
    known = metrics.flagged_interval(4000, None)
    many = metrics.flagged_interval(4000, 10_000_000)
    few = metrics.flagged_interval(4000, 4000)
    assert known == (25, 57)
    assert abs(many[0] - known[0]) <= 1
    assert abs(many[1] - known[1]) <= 1
    # Equal numbers of test and calibration spectra double the variance.
    assert few[1] - few[0] == pytest.approx(np.sqrt(2) * (known[1] - known[0]), rel=0.1)


def test_the_flagged_number_of_a_conformal_p_value_lies_in_its_interval() -> None:
    rng = np.random.default_rng(5)
    low, high = metrics.flagged_interval(1000, 999, level=0.99)
    outside = 0
    for _ in range(400):
        calibration, test = np.sort(rng.random(999)), rng.random(1000)
        p_value = (1000 - np.searchsorted(calibration, test)) / 1000
        flagged = int((p_value <= 0.01).sum())
        outside += not low <= flagged <= high
    # 4 of 400 are expected.
    assert outside <= 12


def test_differences_between_scores_by_hand() -> None:
    assert metrics.chance_of_difference(0, 0) == 1
    # Five times the one and never the other: 2 x 0.5^5.
    assert metrics.chance_of_difference(5, 0) == pytest.approx(0.0625)
