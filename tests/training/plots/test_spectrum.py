"""Limits are the observed spectrum's, residuals are in σ, and unreliable bins are shaded."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from outcrop.spectra import OVERLAPS
from tests.training.plots.helpers import WAVE, make_sample
from training.plots.sample import RestSpectra
from training.plots.spectrum import draw_residual, draw_spectrum, flux_limits, shade


def test_a_spike_does_not_flatten_the_spectrum_but_a_line_is_shown() -> None:
    flux = np.ones(1000, np.float32)
    ivar = np.ones(1000, np.float32)
    flux[500:503] = 4.0
    low, high = flux_limits(flux, ivar)
    assert low <= 0
    assert 4 < high < 5
    flux[200:202] = 300.0
    assert flux_limits(flux, ivar)[1] < 5
    # A step over many bins is never cut off, however far it goes.
    flux[700:] = -20.0
    assert flux_limits(flux, ivar)[0] < -20


def test_bad_bins_do_not_set_the_limits() -> None:
    flux = np.ones(1000, np.float32)
    ivar = np.ones(1000, np.float32)
    flux[300:400], ivar[300:400] = 1e6, 0
    assert flux_limits(flux, ivar)[1] < 2


def test_a_spectrum_without_data_has_limits() -> None:
    low, high = flux_limits(np.zeros(1000, np.float32), np.zeros(1000, np.float32))
    assert low < high


def test_a_wild_reconstruction_does_not_set_the_limits_and_is_drawn_behind() -> None:
    flux = np.ones((1, 1000), np.float32)
    noise = 1e3 * np.random.default_rng(0).normal(size=(1, 1000)).astype(np.float32)
    sample = make_sample(flux, spectra=RestSpectra(flux, np.ones_like(flux), noise))
    axes = Figure().add_subplot()
    draw_spectrum(axes, WAVE, sample, 0)
    low, high = axes.get_ylim()
    assert -1 < low < high < 2
    observed, model = axes.lines
    assert model.get_zorder() < observed.get_zorder()
    alpha = model.get_alpha()
    assert alpha is not None
    assert alpha < 0.5


def test_the_residual_is_in_sigma_and_empty_in_bad_bins() -> None:
    flux = np.full((1, 1000), 3, np.float32)
    ivar = np.full((1, 1000), 4, np.float32)
    ivar[0, :10] = 0
    sample = make_sample(flux, spectra=RestSpectra(flux, ivar, flux - 1))
    axes = Figure().add_subplot()
    draw_residual(axes, WAVE, sample, 0)
    drawn = np.asarray(axes.lines[1].get_ydata(), np.float64)
    assert np.isnan(drawn[:10]).all()
    np.testing.assert_allclose(drawn[10:], 2)


@pytest.mark.parametrize("place", [0, 3, 200, 700, 999])
def test_an_inset_beside_a_clipped_peak_shows_it_in_full(place: int) -> None:
    flux = np.ones((1, 1000), np.float32)
    flux[0, place] = 300
    sample = make_sample(flux, spectra=RestSpectra(flux, np.ones_like(flux), np.ones_like(flux)))
    axes = Figure().add_subplot()
    draw_spectrum(axes, WAVE, sample, 0)
    assert axes.get_ylim()[1] < 10

    (inset,) = axes.child_axes
    assert isinstance(inset, Axes)
    assert [text.get_text() for text in inset.texts] == ["300"]
    assert inset.get_ylim()[1] > 300
    low, high = inset.get_xlim()
    assert low < WAVE[place] < high
    # In the panel, and not over the peak.
    drawn = inset.get_position().intervalx
    left, right = axes.get_position().intervalx
    peak = left + (right - left) * (WAVE[place] - WAVE[0]) / (WAVE[-1] - WAVE[0])
    assert left <= drawn[0] < drawn[1] <= right
    assert not drawn[0] <= peak <= drawn[1]


def test_a_spectrum_that_fits_has_no_inset() -> None:
    flux = 1 + np.sin(WAVE / 100)[None].astype(np.float32)
    axes = Figure().add_subplot()
    draw_spectrum(axes, WAVE, make_sample(flux), 0)
    assert not axes.child_axes
    assert not axes.texts


def test_the_lowest_value_that_is_cut_off_is_written() -> None:
    flux = np.ones((1, 1000), np.float32)
    flux[0, 200:202] = -300
    axes = Figure().add_subplot()
    draw_spectrum(axes, WAVE, make_sample(flux), 0)
    assert [text.get_text() for text in axes.texts] == ["−300"]


def test_bad_bins_and_camera_overlaps_are_shaded_in_the_rest_frame() -> None:
    good = np.ones(1000, np.bool_)
    good[100:110] = False
    axes = Figure().add_subplot()
    axes.set_xlim(WAVE[0], WAVE[-1])
    shade(axes, WAVE, good, 0.25)
    overlaps, bad = (
        [list(path.get_extents().intervalx) for path in bars.get_paths()]
        for bars in axes.collections
        if isinstance(bars, PolyCollection)
    )
    np.testing.assert_allclose(overlaps, np.array(OVERLAPS) / 1.25)
    np.testing.assert_allclose(bad, [[WAVE[100] - 1.978, WAVE[109] + 1.978]])
