"""Dust: the share of the light that it transmits."""

import numpy as np

from training.sky.grid import Array


def attenuation(wave: Array, ebv: Array, slope: Array) -> Array:
    """Return the transmitted share (N, P): Calzetti et al. (2000), tilted by (λ/5500 Å)^slope."""
    x = wave / 1e4
    blue = 2.659 * (-2.156 + 1.509 / x - 0.198 / x**2 + 0.011 / x**3) + 4.05
    red = 2.659 * (-1.857 + 1.040 / x) + 4.05
    curve = np.where(x < 0.63, blue, red)
    tilt = np.exp(np.multiply.outer(slope, np.log(wave / 5500)))
    return np.exp(-0.921 * ebv[:, None] * curve * tilt)
