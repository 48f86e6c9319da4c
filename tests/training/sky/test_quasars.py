"""Quasars have broad lines at their redshift, distant ones Lyα with a forest to its blue."""

import numpy as np
import pytest

from training.sky.frame import OBSERVED
from training.sky.quasars import distant_quasars, quasars


def test_nearby_quasars_have_broad_halpha() -> None:
    flux = quasars(np.random.default_rng(0), np.full(20, 0.1))
    offset = np.abs(OBSERVED / 1.1 - 6564.6)
    wing = flux[:, (offset > 20) & (offset < 30)].mean(axis=1)
    continuum = flux[:, (offset > 150) & (offset < 200)].mean(axis=1)
    assert np.median(wing / continuum) > 1.3


def test_distant_quasars_peak_at_lyman_alpha_and_are_absorbed_beyond() -> None:
    flux = distant_quasars(np.random.default_rng(0), np.full(20, 2.4))
    rest = OBSERVED / 3.4
    peak = rest[np.median(flux, axis=0).argmax()]
    assert peak == pytest.approx(1216, abs=12)
    forest, smooth = (
        np.diff(flux[:, (rest > low) & (rest < high)]).std()
        for low, high in ((1100, 1180), (1280, 1350))
    )
    assert forest > 5 * smooth
