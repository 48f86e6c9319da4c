"""A track page shows the track, and the stack of the neighbours of each step."""

import numpy as np

from tests.training.plots.helpers import WAVE, make_sample
from training.plots.sample import RestSpectra
from training.plots.track_page import draw_track, stack
from training.plots.tracks import TrackSpec, track


def test_a_stack_is_the_weighted_mean_of_spectra_scaled_to_the_same_rms() -> None:
    # Of rms 2 and 4, with the same shape but in the first bin.
    flux = np.array([[4, 2, 2, 2], [4, 4, 4, 4]], np.float32)
    ivar = np.array([[1, 1, 1, 0], [0.75, 0, 1, 0]], np.float32)
    sample = make_sample(
        flux, spectra=RestSpectra(flux, ivar, flux), norm=np.array([4, 8], np.float32)
    )
    # Scaled, the ivar is 4 times and 16 times as large.
    expected = [(2 * 4 + 1 * 12) / 16, 1, 1, np.nan]
    np.testing.assert_allclose(stack(sample, np.array([0, 1])), expected)


def test_the_page_has_two_maps_and_a_panel_for_each_step() -> None:
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(30, 4)).astype(np.float32)
    sample = make_sample(1 + 0.1 * rng.normal(size=(30, 1000)), latent=latent)
    end = np.array([0.0, 2.0, 0.0, 1.0])
    found = track(latent, -end, end, steps=3)
    spec = TrackSpec("GALAXY", "colour", True, ("bluest", "reddest"))
    figure = draw_track(WAVE, sample, spec, found)

    first, second, *steps = figure.axes
    # The track runs farthest along latent 2, then 4.
    assert (first.get_xlabel(), first.get_ylabel()) == ("latent 2", "latent 4")
    assert second.get_xlabel() == "latent 2"
    names = [axes.texts[-2].get_text() for axes in steps]
    assert names == ["1, bluest", "2", "3, reddest"]
    assert str(sample.targetid[found.nearest[1]]) in steps[1].texts[-1].get_text()
