"""Class tail: the distribution of a class, and what a small class borrows from all."""

import numpy as np
import pytest
from scipy import stats

from scoring.class_tail import ClassTail


def test_a_large_class_keeps_its_own_distribution() -> None:
    rng = np.random.default_rng(1)
    log_snr = rng.normal(2.5, 0.7, 3000)
    scale = 2 * np.exp(0.4 * (log_snr - np.log(10)))
    values = scale * stats.genpareto(0.3).rvs(3000, random_state=2)

    tail = ClassTail.fit(log_snr, values)
    assert tail is not None
    assert (tail.shape, tail.scale, tail.power) == pytest.approx((0.3, 2.0, 0.4), abs=0.12)

    expected = -stats.genpareto(tail.shape, scale=tail.scale).logsf([1.0, 5.0, 40.0])
    at_ten = np.full(3, np.log(10.0))
    np.testing.assert_allclose(tail(at_ten, np.array([1.0, 5.0, 40.0])), expected, rtol=1e-9)


def test_the_pooled_tail_is_that_of_pooled_inliers() -> None:
    rng = np.random.default_rng(3)
    tail = ClassTail.fit(rng.normal(2.5, 0.7, 4000), rng.exponential(size=4000))
    assert tail is not None
    pooled = np.array([0.5, 3.0, 7.0])
    np.testing.assert_allclose(tail(np.full(3, 2.0), pooled), pooled, rtol=0.1)


def test_a_small_class_is_drawn_towards_the_pooled_tail() -> None:
    rng = np.random.default_rng(4)
    log_snr, values = rng.normal(2.5, 0.7, 4000), 6 * rng.exponential(size=4000)
    large = ClassTail.fit(log_snr, values)
    small = ClassTail.fit(log_snr[:20], values[:20] * 6 / values[:20].mean())
    assert large is not None
    assert small is not None
    assert 1 < small.scale < large.scale


def test_a_rare_object_among_two_hundred_of_its_class_is_found() -> None:
    rng = np.random.default_rng(5)
    values = np.append(2 * rng.exponential(size=198), [60.0, 80.0])
    tail = ClassTail.fit(np.full(200, 2.5), values)
    assert tail is not None
    assert np.exp(-tail(np.full(1, 2.5), np.array([70.0])))[0] < 0.01


def test_too_few_are_no_class() -> None:
    assert ClassTail.fit(np.full(4, 2.5), np.ones(4)) is None


def test_arrays_hold_it() -> None:
    tail = ClassTail(100, 0.2, 1.5, 0.1)
    assert ClassTail.from_arrays(tail.to_arrays("STAR"), "STAR") == ClassTail(100, 0.2, 1.5, 0.1)
    assert ClassTail.from_arrays(tail.to_arrays("STAR"), "QSO") is None
