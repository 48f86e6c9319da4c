"""Dust reddens by its E(B - V)."""

import numpy as np
import pytest

from training.sky.dust import attenuation


def test_the_colour_excess_is_the_given_one() -> None:
    blue, visual = attenuation(np.array([4400.0, 5500.0]), np.array([0.3]), np.array([0.0]))[0]
    assert 2.5 * np.log10(visual / blue) == pytest.approx(0.3, rel=0.06)
    # Calzetti's ratio of total to selective extinction
    assert -2.5 * np.log10(visual) == pytest.approx(4.05 * 0.3, rel=0.02)
