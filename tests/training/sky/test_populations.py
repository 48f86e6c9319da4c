"""Populations have the spectral features of their age and metals."""

import numpy as np

from tests.training.sky.helpers import band_ratio
from training.sky.populations import AGES, METALS, populations


def test_the_4000_angstrom_break_grows_with_age_and_metals() -> None:
    light = populations()[:, :, 0]
    strength = np.array(
        [[band_ratio(flux, (4000, 4100), (3850, 3950)) for flux in row] for row in light]
    )
    sun = int(np.flatnonzero(METALS == 0)[0])
    assert strength[0, sun] < 1.05
    assert 1.5 < strength[-1, sun] < 2.2
    old = AGES > 1e9
    assert (np.diff(strength[old][:, sun]) > 0).all()
    assert (np.diff(strength[-1]) > 0).all()


def test_balmer_absorption_is_strongest_at_some_hundred_million_years() -> None:
    light = populations()[:, int(np.flatnonzero(METALS == 0)[0]), 0]
    depth = [band_ratio(flux, (4325, 4360), (4380, 4420)) for flux in light]
    assert 1e8 < AGES[int(np.argmin(depth))] < 2e9
