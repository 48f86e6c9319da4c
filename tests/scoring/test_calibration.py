"""p-values: uniform for inliers at every S/N, strictly ordered, never 0, never tied."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from scoring.calibration import Calibration

Sample = tuple[NDArray[np.float32], ...]


def inliers(count: int, seed: int) -> Sample:
    """S/N, coverage, wmse, NOF and boxcar significance of simulated inliers.

    Misfit grows with S/N, isolation with noise.
    """
    rng = np.random.default_rng(seed)
    snr = np.exp(rng.normal(2.5, 0.9, count)).clip(1, 200)
    coverage = np.where(rng.random(count) < 0.05, rng.uniform(0.9, 1, count), 1.0)
    misfit = 1 + 0.045 * rng.normal(size=count) + 1e-4 * snr**2 * rng.exponential(size=count)
    nof = -(1 + np.exp(rng.normal(-2.5, 0.5, count)) * (1 + 3 / snr))
    boxcar = 3.5 + 0.3 * rng.gumbel(size=(count, 3)) + 1e-3 * snr[:, None]
    return tuple(x.astype(np.float32) for x in (snr, coverage, misfit * coverage, nof, boxcar))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration.fit(*inliers(8000, 1))


def test_one_in_a_hundred_inliers_has_p_below_one_percent() -> None:
    sample = inliers(20000, 2)
    snr = sample[0]
    edges = np.quantile(snr, [0, 0.25, 0.5, 0.75, 1])
    ranges = [(1, 5), *itertools.pairwise(edges)]
    # In a quartile, what one calibration flags depends on about 20 of its spectra and is 1 % within
    # a fifth or so; the mean of eight calibrations scatters less.
    p_values = [Calibration.fit(*inliers(8000, 10 + i)).p_value(*sample) for i in range(8)]
    for low, high in ranges:
        inside = (snr >= low) & (snr <= high)
        share = np.mean([(p_value[inside] < 0.01).mean() for p_value in p_values])
        assert share == pytest.approx(0.01, abs=0.004)


def test_the_sample_of_a_spectrum_is_the_1000_nearest_or_all(calibration: Calibration) -> None:
    # As the README says; p-values below 1 / size are extrapolated.
    assert calibration.combined.size == 1000
    assert Calibration.fit(*inliers(300, 4)).combined.size == 300


def test_p_is_uniform(calibration: Calibration) -> None:
    p_value = np.sort(calibration.p_value(*inliers(20000, 3)))
    uniform = (np.arange(20000) + 0.5) / 20000
    assert np.abs(p_value - uniform).max() < 0.03


def one(count: int, **values: float) -> Sample:
    default = {"snr": 12.0, "coverage": 1.0, "wmse": 1.0, "nof": -1.05} | values
    boxcar = np.full((count, 3), 3.5, np.float32)
    return (*(np.full(count, v, np.float32) for v in default.values()), boxcar)


def test_p_falls_strictly_with_every_score_and_never_reaches_zero(
    calibration: Calibration,
) -> None:
    snr, coverage, wmse, nof, boxcar = one(400)
    rising = np.geomspace(1.2, 1e30, 400).astype(np.float32)
    by_wmse = calibration.p_value(snr, coverage, rising, nof, boxcar)
    by_nof = calibration.p_value(snr, coverage, wmse, -rising, boxcar)
    longer = boxcar.copy()
    longer[:, 1] = np.geomspace(4, 1e30, 400)
    by_boxcar = calibration.p_value(snr, coverage, wmse, nof, longer)
    for p_value in (by_wmse, by_nof, by_boxcar):
        assert (np.diff(p_value) < 0).all()
        assert (p_value > 0).all()
        assert (p_value < 1).all()


@pytest.mark.parametrize("size", [1, 7, 25, 64])
def test_p_is_the_same_in_every_batch_to_the_last_bit(calibration: Calibration, size: int) -> None:
    sample = inliers(500, 5)
    whole = calibration.p_value(*sample)
    starts = range(0, 500, size)
    parts = [calibration.p_value(*(a[start : start + size] for a in sample)) for start in starts]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_inliers_do_not_tie(calibration: Calibration) -> None:
    sample = inliers(5000, 4)
    assert len(np.unique(calibration.p_value(*sample))) > 4990


def test_the_same_misfit_is_more_anomalous_where_the_noise_is_larger(
    calibration: Calibration,
) -> None:
    # At S/N 100 template misfit gives inliers a wmse of 1.3; at S/N 5 it is anomalous.
    _, *others = one(2, wmse=1.3)
    faint, bright = calibration.p_value(np.array([5, 100], np.float32), *others)
    assert faint < 0.01 < bright


def test_masked_bins_do_not_make_a_spectrum_less_anomalous(calibration: Calibration) -> None:
    whole = calibration.p_value(*one(1, wmse=1.2))
    masked = calibration.p_value(*one(1, wmse=1.2 * 0.92, coverage=0.92))
    np.testing.assert_allclose(whole, masked, rtol=1e-4)


def test_beyond_the_calibrated_range_the_nearest_node_is_used(calibration: Calibration) -> None:
    edge = calibration.combined.log_snr[-1]
    at_edge = calibration.p_value(*one(1, snr=float(np.exp(edge)), wmse=1.5))
    beyond = calibration.p_value(*one(1, snr=5000, wmse=1.5))
    np.testing.assert_allclose(at_edge, beyond, rtol=1e-5)


def test_arrays_hold_the_whole_calibration(calibration: Calibration) -> None:
    again = Calibration.from_arrays(calibration.to_arrays())
    sample = inliers(100, 5)
    np.testing.assert_array_equal(again.p_value(*sample), calibration.p_value(*sample))
    assert again.snr_range == calibration.snr_range


def test_anomalies_in_the_calibration_sample_do_not_hide_others() -> None:
    def anomalous(sample: Sample) -> Sample:
        snr, coverage, wmse, nof, boxcar = sample
        return snr, coverage, wmse * np.float32(1.35), nof, boxcar * np.float32(1.3)

    def recall(calibration: Calibration) -> float:
        threshold = np.quantile(calibration.p_value(*inliers(10_000, 7)), 0.01)
        return float((calibration.p_value(*anomalous(inliers(2000, 8))) < threshold).mean())

    clean = inliers(8000, 1)
    both = map(np.concatenate, zip(clean, anomalous(inliers(160, 9)), strict=True))
    assert recall(Calibration.fit(*clean)) > 0.6
    assert recall(Calibration.fit(*both)) > 0.9 * recall(Calibration.fit(*clean))


def test_a_sample_that_is_too_small_is_rejected() -> None:
    with pytest.raises(ValueError, match="49 calibration spectra"):
        Calibration.fit(*inliers(49, 6))
