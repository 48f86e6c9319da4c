"""Targets have the proportions of the paper's sample and the depth of a bright galaxy survey."""

import numpy as np
import pytest

from training.sky.targets import draw_redshifts, draw_snr


def test_snr_and_redshifts_are_those_of_a_bright_galaxy_survey() -> None:
    rng = np.random.default_rng(3)
    snr = draw_snr(rng, 20000)
    assert np.median(snr) == pytest.approx(12, rel=0.05)
    assert 0.04 < np.mean(snr < 5) < 0.09
    assert 0.005 < np.mean(snr > 80) < 0.03
    assert snr.max() <= 200
    z = draw_redshifts(rng, snr)
    assert np.mean(z > 0.3) == pytest.approx(0.03, abs=0.005)
    assert 0.15 < np.median(z) < 0.22
    assert np.median(z[snr > 30]) < np.median(z[snr < 8])
