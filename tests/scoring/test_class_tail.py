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
    mean = tail.weights @ tail.parameters
    assert mean == pytest.approx([0.3, np.log(2), 0.4], abs=0.07)

    expected = -stats.genpareto(mean[0], scale=np.exp(mean[1])).logsf([1.0, 5.0, 40.0])
    at_ten = np.full(3, np.log(10.0))
    np.testing.assert_allclose(tail(at_ten, np.array([1.0, 5.0, 40.0])), expected, rtol=0.01)


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
    assert 0 < small.weights @ small.parameters[:, 1] < large.weights @ large.parameters[:, 1]


@pytest.mark.parametrize("trusted", [1.0, 0.9])
def test_the_tail_of_a_small_class_is_the_mean_over_its_posterior(trusted: float) -> None:
    rng = np.random.default_rng(6)
    log_snr, values = rng.normal(2.5, 0.7, 40), 3 * rng.exponential(size=40)
    tail = ClassTail.fit(log_snr, values, trusted)
    assert tail is not None

    # Independently, by draws from the prior with the likelihood as weight.
    shape = np.abs(rng.normal(0, 0.5, 200_000))
    log_scale, power = rng.normal(0, 1.0, 200_000), rng.normal(0, 0.5, 200_000)
    largest = np.quantile(values, trusted)
    log_weight = np.zeros(200_000)
    for one, value in zip(log_snr - np.log(10), values, strict=True):
        scale = np.exp(log_scale + power * one)
        if value <= largest:
            log_weight += stats.genpareto.logpdf(value, shape, scale=scale)
        else:
            log_weight += stats.genpareto.logsf(largest, shape, scale=scale)
    log_weight -= np.logaddexp.reduce(log_weight)

    pooled = np.array([2.0, 10.0, 20.0])
    survival = stats.genpareto.logsf(pooled[:, None], shape, scale=np.exp(log_scale))
    expected = -np.logaddexp.reduce(survival + log_weight, axis=1)
    np.testing.assert_allclose(tail(np.full(3, np.log(10)), pooled), expected, rtol=0.02)


def test_farther_is_always_rarer_and_rows_are_independent() -> None:
    rng = np.random.default_rng(7)
    tail = ClassTail.fit(rng.normal(2.5, 0.7, 30), rng.exponential(size=30))
    assert tail is not None
    pooled = np.geomspace(1e-6, 1e12, 200)
    log_snr = np.linspace(-2, 8, 200)
    found = tail(np.full(200, 2.5), pooled)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()

    alone = [tail(log_snr[i : i + 1], pooled[i : i + 1])[0] for i in range(200)]
    np.testing.assert_array_equal(tail(log_snr, pooled), alone)


def test_a_rare_object_among_two_hundred_of_its_class_is_found() -> None:
    rng = np.random.default_rng(5)
    values = np.append(2 * rng.exponential(size=198), [60.0, 80.0])
    tail = ClassTail.fit(np.full(200, 2.5), values)
    assert tail is not None
    assert np.exp(-tail(np.full(1, 2.5), np.array([70.0])))[0] < 0.01


def test_too_few_are_no_class() -> None:
    assert ClassTail.fit(np.full(4, 2.5), np.ones(4)) is None


def test_equal_values_are_a_class() -> None:
    tail = ClassTail.fit(np.full(50, 2.5), np.ones(50))
    assert tail is not None
    assert np.isfinite(tail(np.full(1, 2.5), np.array([3.0]))).all()


def test_arrays_hold_it() -> None:
    tail = ClassTail(100, np.array([[0.2, 0.4, 0.1], [0.3, 0.5, 0.1]]), np.array([0.25, 0.75]))
    again = ClassTail.from_arrays(tail.to_arrays("STAR"), "STAR")
    assert again is not None
    assert again.size == 100
    np.testing.assert_array_equal(again.parameters, tail.parameters)
    np.testing.assert_array_equal(again.weights, tail.weights)
    assert ClassTail.from_arrays(tail.to_arrays("STAR"), "QSO") is None
