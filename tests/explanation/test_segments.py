"""Segments are found where they are, with their sign and width, and rarely where there are none."""

from itertools import pairwise

import numpy as np
import pytest

from explanation.segments import LEVEL, MOST, SegmentScan, largest_significances, widths
from model_store.grid import RestGrid

GRID = RestGrid()
Z = 0.1


def noise(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return flux, ivar and model (rows, M) of flat spectra, S/N 10."""
    model = np.full((rows, GRID.bins), 1 / np.sqrt(GRID.bins), np.float32)
    ivar = np.full_like(model, (10 / model[0, 0]) ** 2)
    flux = model + rng.standard_normal(model.shape).astype(np.float32) / np.sqrt(ivar)
    return flux, ivar, model


def fit(flux: np.ndarray, ivar: np.ndarray, model: np.ndarray, snr: np.ndarray) -> SegmentScan:
    return SegmentScan.fit(flux, ivar, model, np.full(len(flux), Z), snr, GRID)


@pytest.fixture(scope="module")
def scan() -> SegmentScan:
    """Of independent noise."""
    rng = np.random.default_rng(1)
    sample = noise(rng, 3000)
    return fit(*sample, np.exp(rng.uniform(0, 4, 3000)))


def test_widths_are_the_powers_of_two_below_the_grid() -> None:
    assert widths(1000).tolist() == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert widths(512).tolist() == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert widths(1).tolist() == [1]


def test_largest_significances_are_those_of_all_windows() -> None:
    rng = np.random.default_rng(2)
    flux, ivar, model = noise(rng, 3)
    ivar[0, 100:130] = 0
    ivar[1, rng.random(GRID.bins) < 0.2] = 0
    found = largest_significances(flux, ivar, model)

    residual = (flux.astype(float) - model) * np.sqrt(ivar.astype(float))
    for i, width in enumerate(widths(GRID.bins)):
        total = np.lib.stride_tricks.sliding_window_view(residual, width, axis=1).sum(axis=2)
        good = np.lib.stride_tricks.sliding_window_view(ivar > 0, width, axis=1).sum(axis=2)
        expected = (np.abs(total) / np.sqrt(np.maximum(good, 1))).max(axis=1)
        np.testing.assert_allclose(found[:, i], expected, rtol=1e-9)


def test_few_inliers_have_a_segment(scan: SegmentScan) -> None:
    rng = np.random.default_rng(3)
    some = [
        bool(scan.segments(*one, Z, np.exp(rng.uniform(0, 4))))
        for one in zip(*noise(rng, 6000), strict=True)
    ]
    # Tails of noise alone are steeper than those of real residuals, to which the level belongs.
    assert np.mean(some) < 1.5 * LEVEL


def test_a_few_anomalies_in_the_sample_do_not_raise_the_thresholds(
    scan: SegmentScan,
) -> None:
    rng = np.random.default_rng(1)
    flux, ivar, model = noise(rng, 3000)
    flux[::100, 500:540] *= 3
    other = fit(flux, ivar, model, np.exp(rng.uniform(0, 4, 3000)))
    np.testing.assert_allclose(other.thresholds, scan.thresholds, rtol=0.5)


@pytest.mark.parametrize(
    ("first", "end", "share"),
    [(700, 701, 2.0), (300, 305, -1.5), (100, 147, 0.5), (0, 480, -0.2), (600, 1000, 0.15)],
)
def test_segments_have_the_place_the_sign_and_the_depth_of_what_is_there(
    scan: SegmentScan, first: int, end: int, share: float
) -> None:
    flux, ivar, model = (one[0] for one in noise(np.random.default_rng(4), 1))
    flux[first:end] += share * model[first:end]
    segment, *others = scan.segments(flux, ivar, model, Z, 10.0)

    step = GRID.edges[1] - GRID.edges[0]
    tolerance = step * (2 if end - first < 10 else 0.05 * (end - first) + 4)
    np.testing.assert_allclose(segment.rest, GRID.edges[[first, end]], atol=tolerance)
    np.testing.assert_allclose(segment.observed, np.array(segment.rest) * (1 + Z), rtol=1e-12)
    assert segment.sign == np.sign(share)
    assert segment.continuum_share == pytest.approx(share, abs=0.15)
    assert segment.significance == pytest.approx(10 * abs(share) * np.sqrt(end - first), rel=0.3)
    assert not others


def test_segments_do_not_overlap_and_the_most_significant_is_first(
    scan: SegmentScan,
) -> None:
    rng = np.random.default_rng(5)
    flux, ivar, model = (one[0] for one in noise(rng, 1))
    flux[rng.choice(GRID.bins, 60, replace=False)] *= rng.uniform(3, 9, 60)
    flux[400:500] *= 1.5
    found = scan.segments(flux, ivar, model, Z, 10.0)

    assert len(found) == MOST
    order = [one.significance for one in found]
    assert order == sorted(order, reverse=True)
    edges = sorted(one.rest for one in found)
    assert all(before[1] <= after[0] for before, after in pairwise(edges))


def test_bad_bins_are_neither_found_nor_at_the_ends_of_a_segment(
    scan: SegmentScan,
) -> None:
    flux, ivar, model = (one[0] for one in noise(np.random.default_rng(6), 1))
    flux[200:210] += 50 * model[200:210]
    ivar[200:210] = 0
    assert not scan.segments(flux, ivar, model, Z, 10.0)

    flux[210:220] += 2 * model[210:220]
    (segment,) = scan.segments(flux, ivar, model, Z, 10.0)
    assert segment.rest[0] == GRID.edges[210]


def test_a_spectrum_without_a_good_bin_has_no_segments(scan: SegmentScan) -> None:
    flux, _, model = (one[0] for one in noise(np.random.default_rng(7), 1))
    assert scan.segments(flux, np.zeros_like(flux), model, Z, 10.0) == ()


def test_thresholds_rise_with_errors_that_neighbours_share() -> None:
    rng = np.random.default_rng(8)
    flux, ivar, model = noise(rng, 4000)
    snr = np.exp(rng.uniform(0, 4, len(flux)))
    tilt = rng.normal(0, 0.01, (len(flux), 1)) * np.linspace(-1, 1, GRID.bins)
    flux += model * (tilt * snr[:, None]).astype(np.float32)
    fitted = fit(flux, ivar, model, snr)
    assert np.all(fitted.thresholds_at(40.0)[-3:] > 1.5 * fitted.thresholds_at(5.0)[-3:])
    assert np.array_equal(fitted.thresholds_at(0.01), fitted.thresholds[0])


def test_a_scan_is_read_as_it_was_written(scan: SegmentScan) -> None:
    arrays = scan.to_arrays()
    assert all(name.startswith("segments_") for name in arrays)
    read = SegmentScan.from_arrays(arrays, GRID)
    for snr in (0.5, 7.0, 1e4):
        np.testing.assert_array_equal(read.thresholds_at(snr), scan.thresholds_at(snr))

    flux, ivar, model = (one[0] for one in noise(np.random.default_rng(9), 1))
    flux[300:320] *= 2
    assert read.segments(flux, ivar, model, Z, 10.0) == scan.segments(flux, ivar, model, Z, 10.0)
