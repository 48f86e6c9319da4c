"""Tails by S/N: of fixed shares of the sample, whatever its size, and of its trusted part alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.conditional_tail import ConditionalTail


def sample(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log S/N, and scores with an exponential tail, larger and wider at high S/N."""
    rng = np.random.default_rng(seed)
    log_snr = rng.normal(2.5, 0.8, count)
    return log_snr, log_snr + rng.exponential(size=count)


@pytest.mark.parametrize("count", [500, 1000, 2500, 20000])
def test_nodes_and_windows_are_fixed_shares_of_the_sample(count: int) -> None:
    log_snr, scores = sample(count, 1)
    tail = ConditionalTail.fit(log_snr, scores, 0.95)
    shares = 0.5 - 0.498 * np.cos(np.linspace(0, np.pi, 24))
    expected = np.quantile(log_snr, shares, method="nearest")
    np.testing.assert_allclose(tail.log_snr, expected)
    assert tail.size == np.ceil(count / 4)


@pytest.mark.parametrize(("rise", "widen"), [(0.0, 1.0), (2.0, 0.0)])
def test_scores_that_change_with_snr_are_as_rare_at_both_ends(rise: float, widen: float) -> None:
    """Median and spread of a score follow S/N to the ends of the sample."""
    rng = np.random.default_rng(5)
    log_snr = np.sort(rng.normal(2.5, 0.8, 20_000))
    noise = rng.exponential(size=(2, 20_000)) * np.exp(widen * log_snr)
    calibrating, scores = noise + rise * log_snr

    found = ConditionalTail.fit(log_snr, calibrating, 0.95)(log_snr, scores)
    for end in (slice(100, 900), slice(-900, -100)):
        np.testing.assert_allclose(np.mean(found[end] > -np.log(0.1)), 0.1, atol=0.035)


def test_scores_that_are_all_equal_have_finite_tails() -> None:
    log_snr, _ = sample(600, 2)
    tail = ConditionalTail.fit(log_snr, np.zeros(600), 0.95)
    assert np.isfinite(tail(log_snr, np.array([-1.0, 0.0, 1.0] * 200))).all()


def test_what_is_beyond_the_trusted_part_does_not_matter() -> None:
    log_snr, scores = sample(4000, 3)
    far = scores > np.quantile(scores - log_snr, 0.97) + log_snr
    usual, shifted = (
        ConditionalTail.fit(log_snr, np.where(far, scores + more, scores), 0.95)(log_snr, scores)
        for more in (0.0, 50.0)
    )
    np.testing.assert_allclose(shifted, usual, atol=0.05)
