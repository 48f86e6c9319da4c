"""Atmospheres have the lines and bands of real stars."""

import numpy as np

from tests.training.sky.helpers import band_ratio
from training.sky.atmospheres import atmospheres


def test_cool_dwarfs_have_the_bands_of_titanium_oxide_that_real_ones_have() -> None:
    teff = np.array([3800.0, 3200.0, 2950.0])
    flux = atmospheres(teff, np.full(3, 4.8), np.zeros(3), np.zeros(3))
    # The index TiO5 of dwarfs of about M0, M4 and M5.5 (Reid, Hawley & Gizis 1995 define it)
    tio5 = [band_ratio(row, (7128, 7137), (7044, 7048)) for row in flux]
    np.testing.assert_allclose(tio5, [0.80, 0.42, 0.32], atol=0.08)


def test_balmer_lines_are_strongest_in_a_stars_and_broadest_in_white_dwarfs() -> None:
    teff = np.array([4500.0, 5800.0, 9500.0, 25000.0])
    flux = atmospheres(teff, np.full(4, 4.3), np.zeros(4), np.zeros(4))
    depth = [1 - band_ratio(row, (4848, 4877), (4900, 4930)) for row in flux]
    assert np.argmax(depth) == 2
    dwarf = atmospheres(teff[2:3] + 2500, np.array([8.0]), np.array([-6.0]), np.zeros(1))[0]
    wing = [band_ratio(row, (4800, 4820), (5000, 5040)) for row in (flux[2], dwarf)]
    assert wing[1] < wing[0] - 0.05
