"""Emission lines have the equivalent widths of real galaxies."""

import numpy as np
import pytest

from training.sky.emission import LINES, mixture


def test_emission_has_the_widths_of_real_galaxies() -> None:
    width = dict(zip(LINES, mixture().draw(np.random.default_rng(0), 20000).T, strict=True))
    # Medians of strong Hα emitters in the reference data
    strong = (width["HALPHA"] > 25) & (width["HALPHA"] < 63)
    assert np.median(width["HBETA"][strong]) == pytest.approx(8.1, rel=0.2)
    assert np.median(width["NII_6584"][strong]) == pytest.approx(11.0, rel=0.2)
    assert np.median(width["OII_DOUBLET"][strong]) == pytest.approx(22.4, rel=0.2)
    assert 0.3 < np.mean(width["HALPHA"] < 3) < 0.55
