"""p-values: uniform for inliers at every S/N, strictly ordered, never 0, never tied."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from outcrop.scores import MIN_SNR
from scoring.calibration import Calibration, PValueInputs


def inliers(count: int, seed: int) -> PValueInputs:
    """Simulated inliers: misfit grows with S/N, isolation with noise; stars fit worse."""
    rng = np.random.default_rng(seed)
    snr = np.exp(rng.normal(2.5, 0.9, count)).clip(MIN_SNR, 200)
    coverage = np.where(rng.random(count) < 0.05, rng.uniform(0.9, 1, count), 1.0)
    spectype = rng.choice(["GALAXY", "STAR", "QSO"], count, p=[0.97, 0.02, 0.01])
    worse = np.where(spectype == "STAR", 4, 1)
    misfit = (
        1 + 0.045 * rng.normal(size=count) + 1e-4 * worse * snr**2 * rng.exponential(size=count)
    )
    nof = -(1 + np.exp(rng.normal(-2.5, 0.5, count)) * (1 + 3 / snr))
    boxcar = 3.5 + 0.3 * rng.gumbel(size=(count, 3)) + 1e-3 * snr[:, None]
    # The distance of other classes from galaxies says nothing, however large it is.
    power, distance = 1 + 0.1 * boxcar, rng.lognormal(0, 0.3, count)
    distance[spectype != "GALAXY"] *= 20
    others = rng.rayleigh(size=count), 9 * rng.lognormal(0, 0.25, count), distance
    columns = (snr, coverage, misfit * coverage, nof, boxcar, power, *others)
    snr, coverage, wmse, nof, boxcar, power, offset, second, distance = (
        x.astype(np.float32) for x in columns
    )
    return PValueInputs(snr, coverage, wmse, nof, boxcar, power, offset, second, distance, spectype)


def anomalies(count: int, seed: int) -> PValueInputs:
    """The same with a larger misfit, all galaxies."""
    sample = inliers(count, seed)
    return replace(
        sample,
        wmse=sample.wmse * np.float32(1.35),
        boxcar_significance=sample.boxcar_significance * np.float32(1.3),
        spectype=np.full(count, "GALAXY"),
    )


def p_value(calibration: Calibration, inputs: PValueInputs) -> NDArray[np.float64]:
    return calibration.p_values(inputs).within_class


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration.fit(inliers(8000, 1))


@pytest.fixture(scope="module")
def several() -> list[NDArray[np.float64]]:
    """p-values of the same sample by five calibrations: what one flags depends on few spectra."""
    sample = inliers(20000, 2)
    return [p_value(Calibration.fit(inliers(8000, 10 + i)), sample) for i in range(5)]


def test_one_in_a_hundred_inliers_has_p_below_one_percent(
    several: list[NDArray[np.float64]],
) -> None:
    snr = inliers(20000, 2).snr
    edges = np.quantile(snr, [0, 0.25, 0.5, 0.75, 1])
    for low, high in [(1, 5), *itertools.pairwise(edges)]:
        inside = (snr >= low) & (snr <= high)
        share = np.mean([(one[inside] < 0.01).mean() for one in several])
        assert share == pytest.approx(0.01, abs=0.004)


@pytest.mark.parametrize("count", [1000, 2500])
def test_so_it_is_with_a_small_calibration_sample(count: int) -> None:
    sample = inliers(20000, 2)
    found = [p_value(Calibration.fit(inliers(count, 20 + seed)), sample) for seed in range(5)]
    assert np.mean([(one < 0.01).mean() for one in found]) == pytest.approx(0.01, abs=0.004)
    assert np.mean([(one < 0.1).mean() for one in found]) == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("spectype", ["GALAXY", "STAR", "QSO"])
def test_so_it_is_within_each_class(several: list[NDArray[np.float64]], spectype: str) -> None:
    inside = inliers(20000, 2).spectype == spectype
    share = np.mean([(one[inside] < 0.01).mean() for one in several])
    assert share == pytest.approx(0.01, abs=0.004 if spectype == "GALAXY" else 0.012)


def test_the_pooled_p_value_flags_the_class_that_fits_worse(calibration: Calibration) -> None:
    sample = inliers(20000, 2)
    star = sample.spectype == "STAR"
    found = calibration.p_values(sample)
    assert (found.pooled[star] < 0.01).mean() > 2 * (found.within_class[star] < 0.01).mean()


def test_an_unknown_class_is_pooled(calibration: Calibration) -> None:
    sample = replace(inliers(500, 5), spectype=np.full(500, ""))
    found = calibration.p_values(sample)
    np.testing.assert_allclose(found.within_class, found.pooled, rtol=0.3, atol=0.02)


def test_the_pooled_p_value_does_not_depend_on_the_class(calibration: Calibration) -> None:
    sample = inliers(500, 5)
    expected = calibration.p_values(sample).pooled
    for name in ("GALAXY", "STAR", ""):
        other = replace(sample, spectype=np.full(500, name))
        np.testing.assert_array_equal(calibration.p_values(other).pooled, expected)


def test_p_is_uniform(calibration: Calibration) -> None:
    ascending = np.sort(p_value(calibration, inliers(20000, 3)))
    uniform = (np.arange(20000) + 0.5) / 20000
    assert np.abs(ascending - uniform).max() < 0.03


def test_the_far_tail_is_not_too_small(calibration: Calibration) -> None:
    far = p_value(calibration, inliers(100_000, 13))
    assert (far < 1e-3).mean() < 1.6e-3
    assert (far < 1e-4).mean() < 2e-4


def test_faint_spectra_that_are_added_change_no_bright_one() -> None:
    more = inliers(40_000, 14)
    sample = inliers(20000, 2)
    found = p_value(Calibration.fit(inliers(8000, 1), more.rows(more.snr < 5)), sample)
    for inside in (sample.snr > 10, sample.snr < 5):
        assert (found[inside] < 0.01).mean() == pytest.approx(0.01, abs=0.005)


def one(count: int, **values: float) -> PValueInputs:
    default = {"snr": 12.0, "coverage": 1.0, "wmse": 1.0, "nof": -1.05} | values
    snr, coverage, wmse, nof = (np.full(count, v, np.float32) for v in default.values())
    boxcar, one = np.full((count, 3), 3.5, np.float32), np.ones(count, np.float32)
    power, spectype = np.full((count, 3), 1.35, np.float32), np.full(count, "GALAXY")
    second = np.full(count, 9, np.float32)
    return PValueInputs(snr, coverage, wmse, nof, boxcar, power, one, second, one, spectype)


def test_only_a_galaxy_is_anomalous_because_it_is_unlike_galaxies(
    calibration: Calibration,
) -> None:
    near = one(3)
    near = replace(near, spectype=np.array(["GALAXY", "STAR", "QSO"]))
    far = replace(near, galaxy_distance=np.full(3, 30, np.float32))
    before, after = calibration.p_values(near), calibration.p_values(far)
    assert before.within_class[0] > 0.1
    assert after.within_class[0] < 0.001
    np.testing.assert_array_equal(before.within_class[1:], after.within_class[1:])
    np.testing.assert_array_equal(before.pooled[1:], after.pooled[1:])


def test_p_falls_strictly_with_every_score_and_never_reaches_zero(
    calibration: Calibration,
) -> None:
    same = one(400)
    rising = np.geomspace(1.2, 1e30, 400).astype(np.float32)
    longer = same.boxcar_significance.copy()
    longer[:, 1] = np.geomspace(4, 1e30, 400)
    stronger = same.boxcar_power.copy()
    stronger[:, 0] = rising
    for changed in (
        replace(same, wmse=rising),
        replace(same, nof=-rising),
        replace(same, boxcar_significance=longer),
        replace(same, boxcar_power=stronger),
        replace(same, second_galaxy=10 * rising),
        replace(same, galaxy_distance=rising),
    ):
        found = calibration.p_values(changed)
        # The pooled one does not use the distance from galaxies.
        pooled = [] if changed.galaxy_distance is rising else [found.pooled]
        for values in (found.within_class, *pooled):
            assert (np.diff(values) < 0).all()
            assert (values > 0).all()
            assert (values < 1).all()


@pytest.mark.parametrize("size", [1, 7, 25, 64])
def test_p_is_the_same_in_every_batch_to_the_last_bit(calibration: Calibration, size: int) -> None:
    sample = inliers(500, 5)
    whole = p_value(calibration, sample)
    starts = range(0, 500, size)
    parts = [
        p_value(calibration, sample.rows(np.arange(start, min(start + size, 500))))
        for start in starts
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_inliers_do_not_tie(calibration: Calibration) -> None:
    assert len(np.unique(p_value(calibration, inliers(5000, 4)))) > 4990


def test_the_same_misfit_is_more_anomalous_where_the_noise_is_larger(
    calibration: Calibration,
) -> None:
    # At S/N 100 template misfit gives inliers a wmse of 1.3; at S/N 5 it is anomalous.
    both = replace(one(2, wmse=1.3), snr=np.array([5, 100], np.float32))
    faint, bright = p_value(calibration, both)
    assert faint < 0.01 < bright


def test_masked_bins_do_not_make_a_spectrum_less_anomalous(calibration: Calibration) -> None:
    whole = p_value(calibration, one(1, wmse=1.2))
    masked = p_value(calibration, one(1, wmse=1.2 * 0.92, coverage=0.92))
    np.testing.assert_allclose(whole, masked, rtol=1e-4)


def test_the_calibrated_range_reaches_nearly_as_far_as_the_sample(
    calibration: Calibration,
) -> None:
    low, high = calibration.snr_range
    snr = inliers(20000, 3).snr
    assert ((snr < low) | (snr > high)).mean() < 0.01
    assert high < 200


def test_the_finest_p_value_is_reached_by_the_sample(calibration: Calibration) -> None:
    assert 1 / 8001 < calibration.finest < 0.01


def test_what_fits_better_than_its_noise_is_too_good(calibration: Calibration) -> None:
    assert calibration.too_good(inliers(20000, 3)).mean() < 1e-3
    assert calibration.too_good(one(1, wmse=0.5)).all()
    assert not calibration.too_good(one(1, wmse=1.0)).any()


def test_arrays_hold_the_whole_calibration(calibration: Calibration) -> None:
    again = Calibration.from_arrays(calibration.to_arrays())
    sample = inliers(100, 5)
    np.testing.assert_array_equal(p_value(again, sample), p_value(calibration, sample))
    np.testing.assert_array_equal(
        again.p_values(sample).pooled, calibration.p_values(sample).pooled
    )
    assert again.snr_range == calibration.snr_range
    assert again.finest == calibration.finest


@pytest.mark.parametrize("share", [0.01, 0.02])
def test_anomalies_in_the_calibration_sample_do_not_hide_others(
    calibration: Calibration, share: float
) -> None:
    mixed = inliers(8000, 1).joined(anomalies(int(8000 * share), 9))
    contaminated = Calibration.fit(mixed)
    flagged = p_value(contaminated, anomalies(2000, 8)) < 0.01
    clean = p_value(calibration, anomalies(2000, 8)) < 0.01
    # Most scores say nothing of these anomalies.
    assert flagged.mean() > 0.8 * clean.mean() > 0.6
    assert (p_value(contaminated, inliers(20000, 3)) < 0.01).mean() > 0.005


def test_a_class_of_few_spectra_is_not_taken_for_outliers() -> None:
    sample = inliers(900, 21)
    few = np.arange(900) < 8
    worse = np.where(few, np.float32(2), np.float32(1))
    spectype = np.where(few, "QSO", "GALAXY")
    calibration = Calibration.fit(replace(sample, wmse=sample.wmse * worse, spectype=spectype))

    found = calibration.p_values(one(1, wmse=2.0))
    known = calibration.p_values(replace(one(1, wmse=2.0), spectype=np.array(["QSO"])))
    assert found.within_class[0] < 0.01 < known.within_class[0]


def test_a_sample_that_is_too_small_is_rejected() -> None:
    with pytest.raises(ValueError, match="499 calibration spectra"):
        Calibration.fit(inliers(499, 6))
