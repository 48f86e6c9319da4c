"""Faulty petals and bundles of fibers are set apart, and faultless ones very rarely."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from outcrop.night.faults import PetalPValues, _usual_shares, binomial_tail, find_faults

LEVEL = 0.01


def night(
    count: int, rows: int = 450, share: float = LEVEL, spread: float = 0.0, seed: int = 1
) -> list[PetalPValues]:
    """Faultless petals, each of the next ten petals of a tile; their shares differ by `spread`."""
    rng = np.random.default_rng(seed)
    petals: list[PetalPValues] = []
    for number in range(count):
        flagged = rng.uniform(size=rows) < share * np.exp(rng.normal(scale=spread))
        fiber = np.sort(rng.choice(500, rows, replace=False)) + 500 * (number % 10)
        petals.append(PetalPValues(np.where(flagged, 0.005, 0.5), flagged, fiber))
    return petals


def flag(petal: PetalPValues, first: int, fibers: int, share: float = 1.0) -> None:
    """Flag a share of the spectra of some fibers of a petal."""
    inside = np.flatnonzero((petal.fiber >= first) & (petal.fiber < first + fibers))
    petal.flagged[inside[: round(share * len(inside))]] = True


def reasons(petals: list[PetalPValues]) -> dict[int, list[str]]:
    """Return why, by the number of the petal."""
    found = find_faults(petals, LEVEL)
    return {n: [fault.reason for fault in each] for n, each in enumerate(found) if each}


@pytest.mark.parametrize(("count", "of"), [(0, 10), (3, 10), (10, 10), (25, 500), (40, 875)])
@pytest.mark.parametrize("share", [0.01, 0.3])
def test_the_tail_is_that_of_scipy(count: int, of: int, share: float) -> None:
    assert binomial_tail(count, of, share) == pytest.approx(
        float(stats.binom.sf(count - 1, of, share))
    )


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 40])
def test_the_usual_share_is_the_quantile_of_the_others(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, quantile = list[float](), np.quantile

    def counted(values: Any, share: float) -> Any:
        taken.append(share)
        return quantile(values, share)

    monkeypatch.setattr("outcrop.night.faults.np.quantile", counted)
    rng = np.random.default_rng(count)
    for _ in range(20):
        # Some with equal shares, some without a spectrum.
        petals = night(count, rows=int(rng.integers(1, 20)), share=0.3, seed=int(rng.integers(999)))
        for petal in petals[1::5]:
            petal.p_value[:] = np.nan

        shares = [petal.flagged.mean() if petal.tested.any() else np.nan for petal in petals]
        taken.clear()
        found = _usual_shares(petals, LEVEL)
        assert len(taken) <= 4
        for number, usual in enumerate(found):
            others = [one for one in np.delete(shares, number) if one >= 0]
            assert usual == max(LEVEL, quantile(others, 0.75) if others else 0.0)


@pytest.mark.parametrize("share", [LEVEL, 0.05])
def test_petals_that_are_alike_are_not_set_apart(share: float) -> None:
    assert reasons(night(350, share=share)) == {}


def test_few_of_the_petals_that_differ_as_usual_are_set_apart() -> None:
    # The 90th percentile of the shares is 1.5 times the median.
    assert sum(len(reasons(night(350, spread=0.3, seed=seed))) for seed in range(10)) <= 5


@pytest.mark.parametrize("petals", [2, 10, 350])
@pytest.mark.parametrize("share", [0.06, 0.3, 1.0])
def test_a_petal_that_is_flagged_far_too_often_is_set_apart(petals: int, share: float) -> None:
    made = night(petals)
    made[1].flagged[:] = False
    made[1].flagged[:: round(1 / share)] = True
    (found,) = find_faults(made, LEVEL)[1]
    assert found.rows.all()
    assert found.reason.startswith(f"{made[1].flagged.sum()} of 450 flagged, usual are ")
    assert set(reasons(made)) == {1}


def test_a_quarter_of_the_petals_may_be_faulty() -> None:
    made = night(40)
    for petal in made[::4]:
        flag(petal, 0, 5000, 0.2)
    assert set(reasons(made)) == set(range(0, 40, 4))


@pytest.mark.parametrize(("petals", "faulty"), [(2, 2), (4, 2), (40, 40)])
def test_where_most_petals_are_faulty_these_are_set_apart(petals: int, faulty: int) -> None:
    made = night(petals)
    for petal in made[:faulty]:
        petal.flagged[::3] = True
    found = reasons(made)
    assert set(found) == set(range(faulty))
    assert found[0][0].endswith(" of 450 flagged, more than 10 times the model's level")


def test_a_night_of_one_petal_is_compared_with_the_level() -> None:
    (petal,) = night(1)
    assert reasons([petal]) == {}
    petal.flagged[::20] = True
    assert "usual are 1 %" in reasons([petal])[0][0]


def test_a_broken_bundle_is_set_apart_without_its_petal() -> None:
    made = night(20)
    flag(made[3], 1600, 25)
    ((fault,),) = [each for each in find_faults(made, LEVEL) if each]
    own = made[3].fiber // 25 == 64
    assert fault.reason == f"fibers 1600-1624: {own.sum()} of {own.sum()} flagged"
    np.testing.assert_array_equal(fault.rows, own)


def test_broken_bundles_side_by_side_are_each_set_apart() -> None:
    made = night(20)
    flag(made[3], 1600, 75)
    assert [reason[:16] for reason in reasons(made)[3]] == [
        "fibers 1600-1624",
        "fibers 1625-1649",
        "fibers 1650-1674",
    ]


def test_a_bundle_that_is_a_little_faulty_all_night_is_set_apart_in_every_petal() -> None:
    made = night(350)
    for petal in made[3::10]:
        flag(petal, 1600, 25, 0.15)
    found = find_faults(made, LEVEL)
    assert [n for n, each in enumerate(found) if each] == list(range(3, 350, 10))
    for petal, each in zip(made[3::10], found[3::10], strict=True):
        np.testing.assert_array_equal(each[0].rows, petal.fiber // 25 == 64)
    assert found[3][0].reason.startswith("fibers 1600-1624: ")
    assert found[3][0].reason.endswith(" flagged in 35 petals")


def test_a_bundle_that_is_broken_in_one_petal_stays_in_the_others() -> None:
    made = night(350)
    flag(made[3], 1600, 25)
    assert set(reasons(made)) == {3}


def test_bundles_of_unknown_fibers_are_not_searched() -> None:
    made = [PetalPValues(p.p_value, p.flagged, np.full(450, -1)) for p in night(20)]
    made[3].flagged[:20] = True
    (found,) = find_faults(made, LEVEL)[3]
    assert found.rows.all()


def test_a_few_flagged_spectra_are_no_fault() -> None:
    few = PetalPValues(np.full(4, 1e-9), np.ones(4, np.bool_), np.arange(4))
    assert reasons([few, *night(5)]) == {}


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        ({}, None),
        ({"b": 0.7, "r": 1.0, "z": 1.5}, None),
        ({"b": 0.69, "r": 1.0, "z": 1.51}, "0.69 in b, 1.51 in z"),
        ({"r": float("nan")}, "nan in r"),
    ],
)
def test_a_petal_with_other_noise_is_set_apart(noise: dict[str, float], reason: str | None) -> None:
    made = night(3)
    made[1] = PetalPValues(made[1].p_value, made[1].flagged, made[1].fiber, noise)
    expected = {1: [f"noise variance over the reported: {reason}"]} if reason else {}
    assert reasons(made) == expected


def test_rows_without_a_p_value_are_neither_counted_nor_set_apart() -> None:
    made = night(10)
    made[1].p_value[:300] = np.nan
    made[1].flagged[300:330] = True
    (found,) = find_faults(made, LEVEL)[1][-1:]
    assert not found.rows[:300].any()
    untested = PetalPValues(np.full(9, np.nan), np.ones(9, np.bool_), np.arange(9))
    assert reasons([untested, *night(9)]) == {}
    assert reasons([untested]) == {}


def test_no_row_has_two_faults() -> None:
    made = night(30, share=0.02)
    flag(made[3], 1600, 50)
    flag(made[3], 1700, 250, 0.3)
    found = find_faults(made, LEVEL)[3]
    assert len(found) > 1
    assert np.sum([fault.rows for fault in found], axis=0).max() == 1
