"""Indices of spectra whose lines are known."""

import numpy as np

from scoring.resample import RestGrid
from tests.training.plots.helpers import WAVE, gaussian_line, make_sample
from training.plots.indices import NAMES, Indices, of_reconstructions


def test_an_equivalent_width_is_that_of_thegaussian_line() -> None:
    flux = 1 + gaussian_line(6564.6, 4.0, 10.0)
    measured = Indices(WAVE)(np.array([flux, 3 * flux, 1 - gaussian_line(6564.6, 4.0, 2.0)]))
    np.testing.assert_allclose(measured["Hα"], [10, 10, -2], rtol=0.1)
    np.testing.assert_allclose(measured["[O III]"], 0, atol=1e-9)
    assert set(measured) == set(NAMES)


def test_only_broad_lines_have_wings() -> None:
    narrow, broad = 1 + gaussian_line(6564.6, 4.0, 50.0), 1 + gaussian_line(6564.6, 40.0, 50.0)
    wings = Indices(WAVE)(np.array([narrow, broad]))["broad Hα"]
    assert abs(wings[0]) < 0.1
    assert wings[1] > 10


def test_an_index_outside_the_grid_is_unknown() -> None:
    wave = RestGrid(3600, 5500, 480).wave
    measured = Indices(wave)(np.ones((2, 480)))
    assert np.isnan(measured["Hα"]).all()
    assert np.isnan(measured["colour"]).all()
    np.testing.assert_allclose(measured["Hβ"], 0, atol=1e-9)
    np.testing.assert_allclose(measured["D4000"], (4051 / 3901) ** 2, rtol=0.01)


def test_a_sample_is_measured_in_the_order_of_its_rows() -> None:
    areas = np.array([0.0, 5.0, 10.0])
    flux = 1 + areas[:, None] * gaussian_line(6564.6, 4.0, 1.0)
    sample = make_sample(flux).rows(np.array([2, 0]))
    np.testing.assert_allclose(of_reconstructions(sample, WAVE, "Hα"), [10, 0], rtol=0.1, atol=1e-6)
