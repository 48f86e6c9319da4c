"""Q-values are those of Benjamini and Hochberg, among the rows that are not set apart."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from outcrop.night.discoveries import Discoveries, q_values
from outcrop.night.faults import PetalPValues

RNG = np.random.default_rng(5)


def petal(p_value: NDArray[np.float64]) -> PetalPValues:
    return PetalPValues(p_value, p_value < 0.01, np.full(len(p_value), -1))


@pytest.mark.parametrize(
    "p_value",
    [
        RNG.uniform(size=1000),
        RNG.uniform(size=1000) ** 4,
        np.round(RNG.uniform(size=1000), 2),
        np.concatenate([np.full(30, 1e-9), RNG.uniform(size=970)]),
        np.full(7, 0.3),
        np.array([0.02]),
        np.array([1.0, 1.0]),
        np.zeros(0),
    ],
    ids=["uniform", "small", "ties", "anomalies", "all equal", "one", "ones", "none"],
)
def test_q_values_are_those_of_scipy(p_value: NDArray[np.float64]) -> None:
    expected = stats.false_discovery_control(p_value) if len(p_value) else p_value
    np.testing.assert_allclose(q_values(p_value), expected, rtol=1e-12)


def test_rows_without_a_p_value_are_not_tested() -> None:
    p_value = RNG.uniform(size=500) ** 3
    p_value[RNG.uniform(size=500) < 0.3] = np.nan
    known = np.isfinite(p_value)
    found = q_values(p_value)
    np.testing.assert_allclose(found[known], stats.false_discovery_control(p_value[known]))
    assert np.isnan(found[~known]).all()
    assert np.isnan(q_values(np.full(3, np.nan))).all()


def test_petals_are_tested_together() -> None:
    parts = [RNG.uniform(size=size) ** 2 for size in (40, 0, 300)]
    found = Discoveries.find([petal(part) for part in parts], 0.5, None)
    expected = stats.false_discovery_control(np.concatenate(parts))
    np.testing.assert_allclose(np.concatenate(found.q_value), expected)
    assert [len(each) for each in found.q_value] == [40, 0, 300]
    assert (found.tested, found.set_apart) == (340, 0)


def test_what_is_set_apart_is_not_tested() -> None:
    usual = [RNG.uniform(0.02, 1, 100) for _ in range(4)]
    usual[2][7] = 1e-6
    faulty = np.full(100, 1e-8)
    found = Discoveries.find([petal(part) for part in (*usual, faulty)], 0.01, 1e-4)
    assert found.counts == [0, 0, 1, 0, 0]
    assert found.q_value[2][7] == pytest.approx(400 * 1e-6)
    assert np.isnan(found.q_value[4]).all()
    assert (found.tested, found.set_apart) == (400, 100)


@pytest.mark.parametrize(
    ("smallest", "finest_p", "basis"),
    [
        ([1e-6, 1e-5], 1e-4, "tail"),
        ([1e-6, 2e-4], 1e-4, "rank"),
        ([1e-6, 1e-4], 1e-4, "rank"),
        ([1e-6, 1e-5], None, "unknown"),
        ([0.5, 0.5], 1e-4, "none"),
        ([], 1e-4, "none"),
        # The first is a discovery, the second is not.
        ([1e-6, 0.01], 1e-4, "tail"),
    ],
)
def test_the_basis_is_that_of_the_largest_p_value_of_the_discoveries(
    smallest: list[float], finest_p: float | None, basis: str
) -> None:
    p_value = np.array(smallest + [0.9] * 98 if smallest else [])
    assert Discoveries.find([petal(p_value)], 0.01, finest_p).basis == basis


def test_a_night_without_petals_has_no_discoveries() -> None:
    found = Discoveries.find([], 0.01, 1e-4)
    assert (found.q_value, found.faults, found.basis, found.tested) == ([], [], "none", 0)


def test_a_tenth_of_the_discoveries_are_inliers() -> None:
    rng = np.random.default_rng(1)
    proportions: list[float] = []
    for _ in range(200):
        p_value = [rng.uniform(size=400) for _ in range(10)]
        for part in p_value:
            part[:8] = 10.0 ** -rng.uniform(2, 8, 8)
        found = Discoveries.find([petal(part) for part in p_value], 0.01, 1e-4)
        chosen = np.array([each <= 0.1 for each in found.q_value])
        proportions.append(chosen[:, 8:].sum() / max(chosen.sum(), 1))

    # BH's rate is exactly 0.1 times the share of inliers, 0.98.
    error = np.std(proportions) / np.sqrt(len(proportions))
    assert np.mean(proportions) == pytest.approx(0.098, abs=4 * error)
