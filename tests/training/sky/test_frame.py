"""Frame: lines and templates on the observed pixels."""

import numpy as np
import pytest

from training.sky.frame import OBSERVED, add_line, disperse, redshifted
from training.sky.grid import WAVE as REST


def test_a_line_keeps_its_flux() -> None:
    flux = np.zeros((2, len(OBSERVED)))
    add_line(flux, np.array([5000.0, 3590.0]), np.array([7.0, 1.0]), np.array([4.0, 1.0]))
    assert flux[0].sum() * 0.8 == pytest.approx(7, rel=1e-6)
    assert OBSERVED[flux[0].argmax()] == pytest.approx(5000, abs=0.41)
    assert flux[1].sum() < 1e-6


def test_a_template_is_seen_at_its_redshift() -> None:
    spike = np.ones((1, len(REST)), np.float32)
    spike[0, np.searchsorted(REST, 5000)] = 100
    seen = redshifted(disperse(spike, np.array([100.0])), np.array([0.2]))[0]
    assert OBSERVED[seen.argmax()] == pytest.approx(6000, abs=0.9)
