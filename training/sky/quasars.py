"""Quasars: nearby active nuclei with broad lines, and distant ones seen in the rest ultraviolet."""

from typing import Final

import numpy as np

from training.sky.dust import attenuation
from training.sky.frame import LIGHT_SPEED, OBSERVED, add_line, unit_mean
from training.sky.galaxies import galaxies
from training.sky.grid import Array

# broad lines of nearby nuclei: vacuum wavelength, flux relative to Hβ
_BROAD: Final = (
    (6564.61, 3.1), (4862.69, 1.0), (4341.68, 0.45), (4102.89, 0.22), (3971.2, 0.10),
    (5877.25, 0.13), (4687.02, 0.08), (7067.14, 0.06),
)  # fmt: skip
_NARROW: Final = (
    (5008.24, 1.0), (4960.30, 0.336), (6585.27, 0.45), (6549.85, 0.15), (6564.61, 0.40),
    (4862.69, 0.11), (3728.5, 0.25), (6718.29, 0.12), (6732.67, 0.12), (3869.86, 0.10),
    (4364.44, 0.03), (6302.05, 0.08), (6365.54, 0.027),
)  # fmt: skip
# multiplets of Fe II in the optical (Boroson & Green 1992): wavelength, relative flux
_IRON: Final = (
    (4178, 0.25), (4233, 0.45), (4297, 0.25), (4352, 0.35), (4385, 0.25), (4417, 0.25),
    (4491, 0.4), (4515, 0.55), (4523, 0.55), (4549, 0.7), (4556, 0.6), (4584, 0.8), (4629, 0.6),
    (4667, 0.2), (4731, 0.15), (4924, 0.75), (5018, 0.85), (5100, 0.25), (5132, 0.3), (5169, 1.0),
    (5198, 0.75), (5235, 0.75), (5265, 0.45), (5276, 0.8), (5317, 1.0), (5363, 0.45),
    (5414, 0.25), (5535, 0.3), (6148, 0.15), (6238, 0.2), (6247, 0.2), (6433, 0.15), (6456, 0.25),
    (6517, 0.2),
)  # fmt: skip
# lines of the rest ultraviolet: wavelength, typical equivalent width (Å), width over that of C IV
_ULTRAVIOLET: Final = (
    (1215.67, 70.0, 0.9), (1240.8, 18.0, 1.1), (1305.0, 3.0, 0.7), (1335.3, 1.5, 0.7),
    (1396.8, 9.0, 1.0), (1549.5, 38.0, 1.0), (1640.4, 7.0, 1.2), (1663.0, 5.0, 1.0),
    (1857.0, 3.0, 0.8), (1892.0, 5.0, 0.8), (1908.7, 22.0, 1.0), (2326.0, 3.0, 0.8),
    (2799.1, 32.0, 0.7), (3426.8, 1.5, 0.3), (3728.5, 1.5, 0.2),
)  # fmt: skip
_UV_IRON: Final = (
    (2100, 70, 0.05), (2260, 60, 0.06), (2420, 80, 0.09), (2520, 70, 0.09),
    (2600, 50, 0.06), (2750, 60, 0.05), (2960, 90, 0.06), (3190, 90, 0.05),
)  # fmt: skip


def broad_lines(
    rng: np.random.Generator, flux: Array, z: Array, sigma: Array, power: Array
) -> None:
    """Add the broad lines of an active nucleus in place.

    Parameters
    ----------
    flux : (N, 7781) float64
    z : (N,) float64
    sigma : (N,) float64
        Width of the lines, km/s.
    power : (N,) float64
        Flux of the broad Hβ, in units of the spectrum's flux times Å.
    """
    shift = rng.normal(0, 200, len(z)) / LIGHT_SPEED
    for wave, share in _BROAD:
        strength = power * share * 10 ** rng.normal(0, 0.06, len(z))
        # A core and wings together are closer to real profiles than one Gaussian
        for part, wide in ((0.65, 0.75), (0.35, 1.7)):
            add_line(
                flux,
                wave * (1 + z + shift),
                part * strength,
                wave * (1 + z) * wide * sigma / LIGHT_SPEED,
            )


def quasars(rng: np.random.Generator, z: Array) -> Array:
    """Draw active nuclei with broad lines, with the light of their hosts.

    Returns
    -------
    (N, 7781) float64
        Flux without noise on the common grid, observed frame, mean 1 over 4000 to 9000 Å.
    """
    count = len(z)
    rest = OBSERVED / (1 + z[:, None])

    # Continuum, with the small blue bump: blended Balmer lines and continuum
    slope = rng.normal(-1.6, 0.4, count)[:, None]
    nucleus = np.where(rest < 5700, (rest / 5700) ** slope, (rest / 5700) ** (0.5 * slope - 0.2))
    edge = rest - 3650
    bump = np.exp(-np.maximum(edge, 0) / 40) * np.exp(np.minimum(edge, 0) / 900)
    nucleus = nucleus * (1 + rng.uniform(0.05, 0.25, count)[:, None] * bump)

    # Lines: iron, broad, narrow
    iron = rng.gamma(1.5, 18.0, count)  # Å, equivalent width over all multiplets
    sigma = np.exp(rng.normal(np.log(1600), 0.5, count)).clip(600, 3500)
    shares = np.array([share for _, share in _IRON]) / sum(share for _, share in _IRON)
    for (wave, _), share in zip(_IRON, shares, strict=True):
        centre = wave * 1.00028 * (1 + z)
        add_line(
            nucleus, centre, iron * share * (1 + z), centre * np.minimum(sigma, 1200) / LIGHT_SPEED
        )

    broad_lines(rng, nucleus, z, sigma, np.exp(rng.normal(np.log(55), 0.35, count)) * (1 + z))
    narrow = np.exp(rng.normal(np.log(22), 0.7, count)) * (1 + z)
    motion = rng.uniform(90, 300, count) / LIGHT_SPEED
    for wave, share in _NARROW:
        strength = narrow * share * 10 ** rng.normal(0, 0.12, count)
        add_line(nucleus, wave * (1 + z), strength, wave * (1 + z) * motion)

    # Dust, and the host galaxy
    dust = rng.exponential(0.06, count)
    for row, wave, ebv in zip(nucleus, rest, dust, strict=True):
        row *= attenuation(wave, np.array([ebv]), np.array([0.0]))[0]
    host = rng.beta(1.5, 2.0, count)[:, None] * 0.8
    return unit_mean((1 - host) * unit_mean(nucleus) + host * galaxies(rng, z))


def distant_quasars(rng: np.random.Generator, z: Array) -> Array:
    """Draw quasars at 1.4 < z < 2.8 as DESI sees them, from Lyα to Mg II.

    Returns
    -------
    (N, 7781) float64
        Flux without noise on the common grid, observed frame, mean 1 over 4000 to 9000 Å.
    """
    count = len(z)
    rest = OBSERVED / (1 + z[:, None])

    # Continuum and blended iron
    flux = (rest / 2000) ** rng.normal(-1.5, 0.35, count)[:, None]
    for wave, width, height in _UV_IRON:
        strength = height * 10 ** rng.normal(0, 0.15, count)[:, None]
        flux = flux * (1 + strength * np.exp(-0.5 * ((rest - wave) / width) ** 2))

    # Emission lines
    sigma = np.exp(rng.normal(np.log(2000), 0.3, count))
    baldwin = 10 ** rng.normal(0, 0.2, count)  # lines of one quasar are strong or weak together
    for wave, width, wide in _ULTRAVIOLET:
        level = (wave / 2000) ** -1.5
        strength = level * width * baldwin * 10 ** rng.normal(0, 0.1, count) * (1 + z)
        for part, extent in ((0.6, 0.6), (0.4, 1.6)):
            spread = wave * (1 + z) * extent * wide * sigma / LIGHT_SPEED
            add_line(flux, wave * (1 + z) * (1 - 0.0015), part * strength, spread)

    # Broad absorption troughs
    for i in np.flatnonzero(rng.random(count) < 0.15):
        speed, width, depth = rng.uniform((5000, 1500, 0.3), (12000, 4000, 0.9))
        for wave in (1549.5, 1396.8, 1240.8):
            velocity = (1 - rest[i] / wave) * LIGHT_SPEED
            flux[i] *= 1 - depth * np.exp(-0.5 * ((velocity - speed) / width) ** 4)

    # The forest: many narrow Lyα absorbers along the line of sight
    for i in range(count):
        lines = rng.poisson(120)
        centre = 1215.67 * (1 + z[i] * rng.uniform(0.6, 0.995, lines))
        strength = rng.gamma(1.0, 0.9, lines)
        near = slice(0, np.searchsorted(OBSERVED, 1216 * (1 + z[i])))
        offset = OBSERVED[near] - centre[:, None]
        flux[i, near] *= np.exp(-strength @ np.exp(-0.5 * (offset / 1.2) ** 2))
    return unit_mean(flux)
