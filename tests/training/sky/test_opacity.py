"""Opacities against what textbooks give."""

import numpy as np
import pytest

from training.sky.opacity import h_minus, hydrogen_continuum, saha


def test_hydrogen_is_half_ionised_near_ten_thousand_kelvin() -> None:
    temperature = np.linspace(5000, 15000, 200)
    # 200 dyn/cm² as in Payne's classic example
    ratio = saha(5040 / temperature, np.array(200.0), 13.598, 0.5)
    half = temperature[np.argmin(np.abs(ratio - 1))]
    assert half == pytest.approx(9600, rel=0.05)


def test_negative_hydrogen_absorbs_most_near_8500_angstrom() -> None:
    wave = np.linspace(4000, 12000, 400)
    theta = np.full_like(wave, 5040 / 5800)
    opacity = h_minus(wave, theta, np.full_like(wave, 10.0))
    assert wave[opacity.argmax()] == pytest.approx(8500, abs=500)


def test_hydrogen_has_a_balmer_jump() -> None:
    opacity = hydrogen_continuum(np.array([3640.0, 3660.0]), np.full(2, 0.5), np.full(2, 100.0))
    assert opacity[0] > 5 * opacity[1]
