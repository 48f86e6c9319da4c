"""Limits are robust against spikes, residuals are in σ, and unreliable bins are shaded."""

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tests.training.plots.helpers import WAVE, make_sample
from training.plots.sample import RestSpectra
from training.plots.spectrum import OVERLAPS, draw_residual, draw_spectrum, flux_limits, shade


def test_a_spike_does_not_flatten_the_spectrum_but_a_line_is_shown() -> None:
    flux = np.ones(1000, np.float32)
    ivar = np.ones(1000, np.float32)
    flux[500:503] = 4.0
    low, high = flux_limits(flux, ivar, flux)
    assert low <= 0
    assert 4 < high < 5
    flux[200:202] = 300.0
    assert flux_limits(flux, ivar, np.ones_like(flux))[1] < 5
    # A step over many bins is never cut off, however far it goes.
    flux[700:] = -20.0
    assert flux_limits(flux, ivar, np.ones_like(flux))[0] < -20


def test_bad_bins_do_not_set_the_limits() -> None:
    flux = np.ones(1000, np.float32)
    ivar = np.ones(1000, np.float32)
    flux[300:400], ivar[300:400] = 1e6, 0
    assert flux_limits(flux, ivar, np.ones_like(flux))[1] < 2


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


def test_a_clipped_spike_is_labelled_with_its_value() -> None:
    flux = np.ones((1, 1000), np.float32)
    flux[0, 200:202] = 300
    sample = make_sample(flux, spectra=RestSpectra(flux, np.ones_like(flux), np.ones_like(flux)))
    axes = Figure().add_subplot()
    draw_spectrum(axes, WAVE, sample, 0)
    assert [text.get_text() for text in axes.texts] == ["300"]


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
