"""Rank: ranks up to the tail, a generalised Pareto distribution beyond."""

import numpy as np
import pytest
from scipy import stats

from scoring.rank import Rank


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return np.random.default_rng(1).exponential(size=5000)


def test_a_p_value_is_the_rank_among_the_sample(sample: np.ndarray) -> None:
    rank = Rank.fit(sample)
    for value in np.quantile(sample, [0.1, 0.5, 0.9, 0.99]):
        expected = (1 + np.count_nonzero(sample >= value)) / (len(sample) + 1)
        assert np.exp(-rank(np.array([value])))[0] == pytest.approx(expected, rel=0.01)


def test_of_a_small_sample_fewer_are_beyond_the_ranks(sample: np.ndarray) -> None:
    assert Rank.fit(sample[:900]).finest == pytest.approx(4 / 901)


def test_ranks_end_before_the_largest_of_the_sample(sample: np.ndarray) -> None:
    rank = Rank.fit(sample)
    assert rank.finest == pytest.approx(11 / 5001)
    assert np.exp(-rank(np.sort(sample)[[-11]]))[0] == pytest.approx(rank.finest)


@pytest.mark.parametrize("shape", [0.1, 0.3])
def test_the_tail_beyond_is_a_generalised_pareto_distribution(shape: float) -> None:
    tail = stats.genpareto(shape)
    rank = Rank.fit(tail.rvs(200_000, random_state=2))
    far = tail.isf([1e-5, 1e-6])
    np.testing.assert_allclose(rank(far), -tail.logsf(far), rtol=0.06)


def test_shape_and_scale_are_those_of_the_sample() -> None:
    sample = stats.genpareto(0.2, scale=3).rvs(100_000, random_state=3)
    rank = Rank.fit(sample)
    assert rank.shape == pytest.approx(0.2, abs=0.05)
    # Beyond a threshold, the scale of the excess is scale + shape * threshold.
    assert rank.scale == pytest.approx(3 + 0.2 * rank.threshold, rel=0.06)


def test_it_increases_strictly_far_beyond_the_sample(sample: np.ndarray) -> None:
    values = np.concatenate([np.linspace(0, 20, 2000), np.geomspace(21, 1e30, 200)])
    assert (np.diff(Rank.fit(sample)(values)) > 0).all()


def test_arrays_hold_it(sample: np.ndarray) -> None:
    rank = Rank.fit(sample)
    again = Rank.from_arrays(rank.to_arrays("pooled"), "pooled")
    values = np.linspace(0, 30, 100)
    np.testing.assert_array_equal(again(values), rank(values))
