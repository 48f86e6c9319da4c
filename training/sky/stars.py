"""Stars: the few per cent of targets that are not galaxies, from M dwarfs to white dwarfs.

The mix is that of faint stars that a galaxy survey mistakes for galaxies: mostly K and M dwarfs
and G stars of the disc and halo, some giants, few hot ones. Cataclysmic variables are injected
only.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.atmospheres import atmospheres
from training.sky.dust import attenuation
from training.sky.frame import (
    LIGHT_SPEED,
    OBSERVED,
    RESOLUTION,
    add_line,
    disperse,
    redshifted,
    unit_mean,
)
from training.sky.grid import WAVE, Array
from training.sky.populations import interpolation

_TEFF: Final = np.array(
    [2800, 2950, 3100, 3250, 3400, 3600, 3800, 4050, 4350, 4700, 5100, 5500, 5900, 6300, 6800,
     7400, 8200, 9300, 11000, 14000, 20000.0]
)  # fmt: skip
_METALS: Final = np.array([-2.0, -1.0, -0.3, 0.3])
_WHITE: Final = np.array([6500, 8000, 10000, 12000, 15000, 20000, 28000, 40000.0])
_BALMER: Final = (6564.61, 4862.69, 4341.68, 4102.89, 3971.2, 3890.15, 3836.5, 3799.0)


@cache
def _grid(giants: bool) -> NDArray[np.float32]:
    """Return stars by temperature and metallicity, (T, Z, P), mean 1."""
    teff, metals = (x.ravel() for x in np.meshgrid(_TEFF, _METALS, indexing="ij"))
    logg = np.clip(0.6 + (teff - 3500) * 1.5e-3, 0.2, 3.2) if giants else 4.6 + 0 * teff
    flux = atmospheres(teff, logg, metals, np.clip(-0.3 * metals, 0, 0.3))
    flux /= flux.mean(axis=1, keepdims=True)
    return flux.reshape(len(_TEFF), len(_METALS), -1)


@cache
def _white_dwarfs() -> NDArray[np.float32]:
    """Return hydrogen white dwarfs by temperature, (T, P), mean 1."""
    ones = np.ones(len(_WHITE))
    flux = atmospheres(_WHITE, 8 * ones, -6 * ones, 0 * ones)
    return flux / flux.mean(axis=1, keepdims=True)


def _pick(grid: NDArray[np.float32], nodes: Array, values: Array) -> NDArray[np.float32]:
    """Interpolate spectra (T, P) in the logarithm of temperature."""
    return interpolation(np.log(nodes), np.log(values)).astype(np.float32) @ grid


def white_dwarfs(rng: np.random.Generator, z: Array) -> Array:
    """Draw DA white dwarfs, (N, 7781), mean 1 over 4000 to 9000 Å, observed frame."""
    teff = 10 ** rng.uniform(3.86, 4.55, len(z))
    light = disperse(_pick(_white_dwarfs(), _WHITE, teff), np.full(len(z), 60.0))
    return unit_mean(redshifted(light, z))


def cataclysmic_variables(rng: np.random.Generator, z: Array, width: Array) -> Array:
    """Draw accreting white dwarfs: a blue disc, its broad emission lines, a red companion.

    Parameters
    ----------
    z : (N,) float64
        Radial velocity over the speed of light.
    width : (N,) float64
        Equivalent width of Hα, Å.

    Returns
    -------
    (N, 7781) float64
        Mean 1 over 4000 to 9000 Å, observed frame.
    """
    count = len(z)

    # Disc and companion
    slope = rng.uniform(-2.4, -1.2, count)
    light = np.exp(np.multiply.outer(slope, np.log(WAVE / 6500)))
    light *= 1 + np.multiply.outer(rng.uniform(0.0, 0.4, count), WAVE < 3680)
    companion = _pick(_grid(False)[:, 2], _TEFF, rng.uniform(2900, 3800, count))
    companion = companion / companion[:, [np.searchsorted(WAVE, 6500)]]
    light += rng.uniform(0, 0.5, count)[:, None] * companion
    flux = redshifted(disperse(light.astype(np.float32), np.full(count, 60.0)), z)

    # Emission lines: Balmer, helium, and blends
    sigma = rng.uniform(300, 1000, count) / LIGHT_SPEED
    split = rng.uniform(0, 1.2, count) * sigma  # two horns where the disc is seen edge-on
    flat = rng.uniform(0.55, 1.0, count)  # Balmer decrement of an opaque disc
    helium = rng.uniform(0.1, 0.4, count)
    lines = [(wave, flat**i) for i, wave in enumerate(_BALMER)]
    lines += [(wave, helium) for wave in (5877.2, 6680.0, 7067.2, 4472.7)]
    lines.append((4687.0, helium * rng.uniform(0, 2, count)))  # He II
    lines.append((4645.0, helium * rng.uniform(0, 1, count)))  # Bowen's blend

    continuum = flux.copy()
    for wave, share in lines:
        power = 0.5 * width * share * continuum[:, np.searchsorted(OBSERVED, wave)]
        for side in (-1, 1):
            add_line(flux, wave * (1 + z + side * split), power, wave * sigma)
    return unit_mean(flux)


def stars(rng: np.random.Generator, z: Array) -> Array:
    """Draw common stars at given radial velocities over the speed of light.

    Returns
    -------
    (N, 7781) float64
        Flux without noise on the common grid, observed frame, mean 1 over 4000 to 9000 Å.
    """
    count = len(z)

    # Parameters
    kind = rng.choice(5, count, p=[0.36, 0.33, 0.24, 0.05, 0.02])
    centre = np.array([3480.0, 4500, 5700, 7300, 10000])[kind]
    spread = np.array([230.0, 380, 450, 600, 2500])[kind]
    teff = np.clip(rng.normal(centre, spread), 3000, 19000)
    cool = teff < 4000  # of the disc; warmer ones are seen far into the halo
    metals = rng.normal(np.where(cool, -0.2, -0.6), np.where(cool, 0.2, 0.6))
    metals = np.clip(metals, -2, np.where(cool, 0.1, 0.3))
    giant = (rng.random(count) < 0.12) & (teff < 5600)

    # Spectra, dwarfs and giants apart
    light = np.empty((count, len(WAVE)), np.float32)
    for evolved in (False, True):
        rows = np.flatnonzero(giant == evolved)
        weight = interpolation(np.log(_TEFF), np.log(teff[rows]))[:, :, None]
        weight = weight * interpolation(_METALS, metals[rows])[:, None, :]
        grid = _grid(evolved).reshape(-1, len(WAVE))
        light[rows] = weight.reshape(len(rows), len(grid)).astype(np.float32) @ grid

    # Dust, rotation and resolution
    light *= attenuation(WAVE, rng.exponential(0.06, count), np.zeros(count)).astype(np.float32)
    spin = np.where(teff > 6500, rng.uniform(20, 200, count), 10)
    resolution = RESOLUTION / 5500 * LIGHT_SPEED
    flux = unit_mean(redshifted(disperse(light, np.hypot(spin, resolution)), z))

    # Flaring M dwarfs, and a few white dwarfs
    active = (teff < 3700) & (rng.random(count) < 0.25)
    halpha = np.where(active, rng.gamma(2.0, 2.0, count), 0.0)
    for wave in _BALMER:
        level = flux[:, np.searchsorted(OBSERVED, wave)]
        add_line(flux, wave * (1 + z), halpha * level, wave * np.full(count, 40 / LIGHT_SPEED))
    white = np.flatnonzero(rng.random(count) < 0.015)
    if len(white):
        flux[white] = white_dwarfs(rng, z[white])
    return unit_mean(flux)
