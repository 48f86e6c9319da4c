"""Stars are positive spectra of all colours."""

import numpy as np

from training.sky.stars import stars


def test_stars_are_finite_positive_and_of_every_colour() -> None:
    flux = stars(np.random.default_rng(0), np.zeros(300))
    assert np.isfinite(flux).all()
    assert flux.min() > 0
    colour = np.log10(flux[:, 500:520].mean(axis=1) / flux[:, 5000:5020].mean(axis=1))
    assert colour.min() < -0.8
    assert colour.max() > 0.3
