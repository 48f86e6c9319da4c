"""Tracks are straight, and join the extremes of a class."""

import numpy as np
import pytest

from tests.training.plots.helpers import WAVE, gaussian_line, make_sample
from training.plots.tracks import MIN_MEMBERS, TrackSpec, track, track_ends, track_members


def test_a_track_goes_straight_from_end_to_end_and_shows_no_spectrum_twice() -> None:
    latents = np.array([[0, 0], [0.1, 0], [2, 0.1], [4, 0], [9, 9]], np.float32)
    found = track(latents, np.zeros(2), np.array([4.0, 0.0]), steps=3, neighbours=2)
    np.testing.assert_allclose(found.points, [[0, 0], [2, 0], [4, 0]])
    assert found.nearest.tolist() == [0, 2, 3]
    assert found.neighbours[0].tolist() == [0, 1]
    close = track(latents, np.zeros(2), np.array([0.01, 0.0]), steps=3, neighbours=2)
    assert len(set(close.nearest.tolist())) == 3


@pytest.mark.parametrize("rising", [True, False])
def test_the_ends_are_medians_of_the_extreme_spectra(rising: bool) -> None:
    # Hα grows with the row; the first latent is the row.
    flux = 1 + np.arange(1, 41)[:, None] * gaussian_line(6564.6, 4.0, 0.1)
    latent = np.zeros((40, 4), np.float32)
    latent[:, 0] = np.arange(40)
    spec = TrackSpec("GALAXY", "Hα", rising, ("first", "last"))
    ends = track_ends(make_sample(flux, latent=latent), WAVE, spec)
    assert ends is not None
    # Three spectra at each end: a twentieth of 40 would be two.
    assert [end[0] for end in ends] == ([1, 38] if rising else [38, 1])


def test_a_track_needs_enough_spectra() -> None:
    flux = np.ones((MIN_MEMBERS - 1, 1000))
    spec = TrackSpec("GALAXY", "colour", True, ("bluest", "reddest"))
    assert track_ends(make_sample(flux), WAVE, spec) is None


def test_members_are_bright_inliers_of_the_class() -> None:
    sample = make_sample(
        np.ones((4, 10)),
        spectype=np.array(["STAR", "STAR", "STAR", "QSO"]),
        snr=np.array([10, 4, 10, 10], np.float32),
        anomaly=np.array([False, False, True, False]),
    )
    chosen = track_members(sample, TrackSpec("STAR", "colour", False, ("coolest", "hottest")))
    assert chosen.targetid.tolist() == [1]
