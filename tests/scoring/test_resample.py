"""Resampling conserves the integral, agrees with SpectRes and marks bad bins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spectres.spectral_resampling import spectres

from model_store.grid import RestGrid
from outcrop.spectra import WAVE
from scoring.resample import resample, resample_row

GRID = RestGrid()
PIXELS = len(WAVE["brz"])


def plain_resample(
    flux: NDArray[np.float64], ivar: NDArray[np.float64], z: float, grid: RestGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The definition, pixel by pixel and bin by bin."""
    wave = WAVE["brz"]
    good = ivar > 0
    flux = np.interp(wave, wave[good], flux[good])
    low = (wave - 0.4) / (1 + z)
    high = (wave + 0.4) / (1 + z)
    bin_flux = np.zeros(grid.bins)
    bin_ivar = np.zeros(grid.bins)
    for j, (left, right) in enumerate(zip(grid.edges[:-1], grid.edges[1:], strict=True)):
        overlap = np.clip(np.minimum(high, right) - np.maximum(low, left), 0, None)
        if overlap.sum() > 0:
            bin_flux[j] = (overlap * flux).sum() / overlap.sum()
        if overlap[good].sum() >= 0.5 * (right - left):
            bin_ivar[j] = overlap[good].sum() ** 2 / (overlap[good] ** 2 / ivar[good]).sum()
    return bin_flux, bin_ivar


@pytest.mark.parametrize("z", [-0.002, 0.0, 0.05, 0.1, 0.1234, 0.3])
def test_agrees_with_the_plain_definition(z: float) -> None:
    rng = np.random.default_rng(1)
    flux = rng.normal(5, 1, (1, PIXELS)).astype(np.float32)
    ivar = rng.gamma(2, 1, (1, PIXELS)).astype(np.float32)
    ivar[0, rng.random(PIXELS) < 0.2] = 0
    ivar[0, 3000:3030] = 0
    got_flux, got_ivar = resample(flux, ivar, np.array([z]), GRID)
    expected = plain_resample(flux[0].astype(float), ivar[0].astype(float), z, GRID)
    np.testing.assert_allclose(got_flux[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(got_ivar[0], expected[1], rtol=1e-5)
    assert (got_ivar[0] == 0).any()


@pytest.mark.parametrize("z", [0.001, 0.1, 0.2999])
def test_agrees_with_spectres(z: float) -> None:
    rng = np.random.default_rng(2)
    flux = rng.normal(5, 1, PIXELS).astype(np.float32)
    sigma = rng.uniform(0.5, 2, PIXELS).astype(np.float32)
    # SpectRes leaves out a bin whose edge touches the last pixel's.
    inner = RestGrid(3604, 7550, 997)
    expected_flux, expected_sigma = spectres(
        inner.wave, WAVE["brz"] / (1 + z), flux.astype(float), sigma.astype(float)
    )
    got_flux, got_ivar = resample(flux[None], (sigma**-2)[None], np.array([z]), inner)
    np.testing.assert_allclose(got_flux[0], expected_flux, rtol=1e-5)
    np.testing.assert_allclose(got_ivar[0] ** -0.5, expected_sigma, rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    z=st.floats(-0.002, 0.3),
    first=st.floats(3620, 5000),
    width=st.floats(10, 2500),
    bins=st.integers(1, 1500),
)
def test_the_integral_is_conserved(
    seed: int, z: float, first: float, width: float, bins: int
) -> None:
    grid = RestGrid(first, first + width, bins)
    flux = np.random.default_rng(seed).normal(1, 1, (1, PIXELS))
    edges = (3599.6 + 0.8 * np.arange(PIXELS + 1)) / (1 + z)
    cumulative = np.concatenate([[0], np.cumsum(flux[0].astype(np.float32) * np.diff(edges))])
    expected = np.diff(np.interp(grid.edges[[0, -1]], edges, cumulative))[0]
    got, _ = resample(
        flux.astype(np.float32), np.ones((1, PIXELS), np.float32), np.array([z]), grid
    )
    total = float((got[0].astype(float) * np.diff(grid.edges)).sum())
    assert total == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_a_bin_needs_half_its_width_on_good_pixels() -> None:
    # At z = 0 this grid's bins are exactly four pixels wide: pixel k covers 3599.6 + 0.8 k.
    grid = RestGrid(3599.6, 3599.6 + 8 * 3.2, 8)
    ivar = np.ones((1, PIXELS), np.float32)
    ivar[0, 0:2] = 0
    ivar[0, 4:7] = 0
    flux = np.arange(PIXELS, dtype=np.float32)[None]
    got, got_ivar = resample(flux, ivar, np.zeros(1), grid)
    # Two good pixels of variance 1 average to a variance of 1/2; one is not enough.
    np.testing.assert_allclose(got_ivar[0, :3], [2, 0, 4])
    # Linear filling restores a ramp except before the first good pixel, where it is constant.
    np.testing.assert_allclose(got[0, :3], [(2 + 2 + 2 + 3) / 4, 5.5, 9.5])


def test_no_pixel_is_read_that_was_not_written() -> None:
    rng = np.random.default_rng(3)
    flux = rng.normal(5, 1, PIXELS).astype(np.float32)
    ivar = rng.gamma(2, 1, PIXELS).astype(np.float32)
    poison = np.frombuffer(b"\xff" * 4 * PIXELS, np.float32)
    assert np.isnan(poison).all()

    # Four decimals, as redshifts are written; at 0.1 and 0.3 the last edge is on a whole pixel.
    for z in np.round(np.arange(-0.002, 0.35, 0.0001), 4).tolist():
        for grid in (GRID, RestGrid(3599.6, 3599.6 + 8 * 3.2, 8), RestGrid(3000, 9824.4, 400)):
            found = []
            for scratch in (np.zeros(PIXELS, np.float32), poison.copy()):
                bins = np.empty((2, grid.bins), np.float32)
                resample_row(flux, ivar, z, grid.edges, scratch, bins[0], bins[1])
                found.append(bins)
            np.testing.assert_array_equal(found[1], found[0], err_msg=str(z))
            assert np.isfinite(found[0]).all()


def test_beyond_the_observed_range_bins_are_bad() -> None:
    flux = np.ones((1, PIXELS), np.float32)
    _, ivar = resample(flux, flux, np.array([0.5]), GRID)
    reach = GRID.wave * 1.5 < 9824
    assert (ivar[0, reach] > 0).all()
    assert (ivar[0, ~reach] == 0).all()


@pytest.mark.parametrize("z", [np.nan, np.inf, -1.0, -2.0])
def test_an_impossible_redshift_gives_no_information(z: float) -> None:
    flux = np.ones((1, PIXELS), np.float32)
    got, ivar = resample(flux, flux, np.array([z]), GRID)
    assert (got == 0).all()
    assert (ivar == 0).all()
