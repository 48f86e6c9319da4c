"""Absorption lines have the cross-sections of their strengths."""

import numpy as np

from training.sky.grid import WAVE
from training.sky.lines import atomic_lines, cores, wings


def test_line_cores_hold_the_area_of_their_lines() -> None:
    lines = next(one for one in atomic_lines() if one.species == "Na I")
    inside = lines.wave < WAVE[-1]
    area = (cores(lines, np.ones(len(lines.wave))) * np.gradient(WAVE)).sum()
    np.testing.assert_allclose(area, lines.area[inside].sum(), rtol=0.06)  # undersampled


def test_only_strong_lines_have_wings() -> None:
    strong, weak = (
        next(one for one in atomic_lines() if one.damped is damped) for damped in (True, False)
    )
    assert wings(strong).max() > 0
    assert wings(weak).max() == 0
