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
    shares = np.linspace(0.002, 0.998, 24)
    expected = np.quantile(log_snr, shares, method="nearest")
    np.testing.assert_allclose(tail.log_snr, expected)
    assert tail.size == np.ceil(count / 8)


def test_what_is_beyond_the_trusted_part_does_not_matter() -> None:
    log_snr, scores = sample(4000, 3)
    far = scores > np.quantile(scores - log_snr, 0.97) + log_snr
    usual, shifted = (
        ConditionalTail.fit(log_snr, np.where(far, scores + more, scores), 0.95)(log_snr, scores)
        for more in (0.0, 50.0)
    )
    np.testing.assert_allclose(shifted, usual, atol=0.05)
