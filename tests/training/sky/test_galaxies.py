"""Galaxies have colours that agree with their lines."""

import numpy as np

from training.sky.frame import OBSERVED
from training.sky.galaxies import galaxies


def test_galaxies_with_strong_lines_are_blue() -> None:
    flux = galaxies(np.random.default_rng(5), np.full(300, 0.1))
    wave = OBSERVED / 1.1
    near = (np.abs(wave - 6575) > 60) & (np.abs(wave - 6575) < 120)
    line = flux[:, np.abs(wave - 6575) < 40].mean(axis=1) / np.median(flux[:, near], axis=1)
    blue = np.median(flux[:, (wave > 3800) & (wave < 3950)], axis=1)
    colour = blue / np.median(flux[:, near], axis=1)
    assert np.median(colour[line > 1.5]) > 1.3 * np.median(colour[line < 1.1])
