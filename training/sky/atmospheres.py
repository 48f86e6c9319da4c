"""Spectra of stars from grey atmospheres with the opacities that matter in the optical.

A star's spectrum is the Planck function at the depth from which its light comes: the temperature
follows the grey law, T⁴ = 3/4 Teff⁴ (τ + 2/3), and the light of each wavelength comes from τ = 2/3
(Eddington and Barbier). This is textbook physics, good enough for plausible spectra from M to B,
whose features grow and fade with temperature, gravity and abundance as real ones do.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.grid import WAVE, Array
from training.sky.lines import ANGSTROM, atomic_lines, cores, molecular_bands, wings
from training.sky.opacity import (
    BOLTZMANN,
    SOLAR_DENSITY,
    THOMSON,
    absorbers,
    h_minus,
    hydrogen_continuum,
    hydrogen_lines,
    last_level,
    saha,
)

_DONORS: Final = ((7.8, 1.15e-4), (6.0, 7.5e-6))  # eV and abundance: Mg, Si, Fe; Na, Ca, Al
_SUN: Final = {"teff": 5772.0, "logg": 4.44, "metals": 0.0, "alpha": 0.0}
_SATURATION: Final = 1.6
"""Opacity over the continuum's that a line reaches in the Sun at most: real lines are several
times narrower than a pixel, and so never darken all of it."""
_GROWTH: Final = 0.5
"""Power with which a line core grows: on the flat part of the curve of growth."""


def planck(wave: Array, temperature: Array) -> Array:
    """Return π B_λ, erg / (s cm² Å)."""
    constant = 3.7418e-5 / (wave * ANGSTROM) ** 5 * ANGSTROM
    return constant / np.expm1(1.43878e8 / wave / temperature)


def _grey(teff: Array, pressure: Array) -> Array:
    """Return the continuous opacity at 5000 Å per hydrogen nucleus, cm²."""
    theta, wave = 5040 / teff, np.full(len(teff), 5000.0)
    last = last_level(pressure / (BOLTZMANN * teff))
    neutral = 1 / (1 + saha(theta, pressure, 13.598, 0.5))
    return neutral * (h_minus(wave, theta, pressure) + hydrogen_continuum(wave, theta, last))


def _depth(teff: Array, logg: Array, metals: Array, pressure: Array) -> tuple[Array, Array]:
    """Return hydrogen nuclei per cm³ and optical depth where the electron pressure is given."""
    theta = 5040 / teff
    electrons = 1 - 1 / (1 + saha(theta, pressure, 13.598, 0.5))
    for energy, share in _DONORS:
        donor = saha(theta, pressure, energy, 2.0)
        electrons = electrons + share * 10**metals * donor / (1 + donor)
    nuclei = pressure / (BOLTZMANN * teff) / electrons
    opacity = (_grey(teff, pressure) + THOMSON * electrons) / 2.3e-24  # cm²/g
    weight = 1.1 * nuclei * BOLTZMANN * teff + pressure  # hydrostatic: what lies above
    return nuclei, weight * opacity / 10**logg


def _photosphere(teff: Array, logg: Array, metals: Array) -> tuple[Array, Array]:
    """Return electron pressure and hydrogen nuclei per cm³ at τ = 2/3."""
    low, high = np.full(len(teff), -5.0), np.full(len(teff), 5.0)
    for _ in range(40):
        middle = (low + high) / 2
        deep = _depth(teff, logg, metals, 10**middle)[1] > 2 / 3
        low, high = np.where(deep, low, middle), np.where(deep, middle, high)
    return 10**low, _depth(teff, logg, metals, 10**low)[0]


@cache
def _templates() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], Array]:
    """Return cores (G, P), wings (G, P), bands (B, P), and the Sun's atoms over its opacity."""
    teff, logg, metals, alpha = (np.array([x]) for x in _SUN.values())
    pressure, nuclei = _photosphere(teff, logg, metals)
    atoms, _ = absorbers(teff, pressure, nuclei, metals, alpha)
    sun = atoms[0] / _grey(teff, pressure)[0]
    core = []
    for lines, number in zip(atomic_lines(), sun, strict=True):
        core.append(cores(lines, 1 / (1 + number * lines.peak / _SATURATION)))
    wing = [wings(lines) for lines in atomic_lines()]
    bands = list(molecular_bands().values())
    return np.array(core, "f4"), np.array(wing, "f4"), np.array(bands, "f4"), sun


def atmospheres(teff: Array, logg: Array, metals: Array, alpha: Array) -> NDArray[np.float32]:
    """Return the flux at the surface of stars.

    Parameters
    ----------
    teff : (N,) float64
        Effective temperature, K; 2800 to 45000.
    logg : (N,) float64
        Logarithm of the surface gravity, cm/s².
    metals, alpha : (N,) float64
        [M/H] and [α/M].

    Returns
    -------
    (N, P) float32
        Flux, erg / (s cm² Å), on `grid.WAVE`.
    """
    pressure, nuclei = _photosphere(teff, logg, metals)
    theta, electrons = 5040 / teff, pressure / (BOLTZMANN * teff)
    neutral = 1 / (1 + saha(theta, pressure, 13.598, 0.5))
    grey = _grey(teff, pressure)[:, None]

    # Metal lines and molecular bands: cores on the flat part of the curve of growth, damped wings
    core, wing, bands, sun = _templates()
    atoms, molecules = absorbers(teff, pressure, nuclei, metals, alpha)
    flat = grey * (atoms / grey) ** _GROWTH * sun ** (1 - _GROWTH)
    damped = atoms * (nuclei[:, None] / SOLAR_DENSITY) ** 0.4
    opacity = np.hstack([flat, damped, molecules]).astype("f4") @ np.vstack([core, wing, bands])

    out = np.empty((len(teff), len(WAVE)), np.float32)
    for i in range(len(teff)):
        hydrogen = h_minus(WAVE, theta[i], pressure[i])
        hydrogen += hydrogen_continuum(WAVE, theta[i], last_level(electrons[i]))
        hydrogen += hydrogen_lines(theta[i], electrons[i])
        total = neutral[i] * hydrogen + THOMSON * electrons[i] / nuclei[i] + opacity[i]

        # Optical depth at each wavelength where the mean opacity reaches τ = 2/3
        weight = planck(WAVE, teff[i])
        depth = 2 / 3 * weight.sum() / (weight / total).sum() / total
        # Metal lines cool the surface below the grey law's temperature
        law = depth + 2 / 3 - 0.25 * np.exp(-8 * depth)
        out[i] = planck(WAVE, teff[i] * (0.75 * law) ** 0.25)
    return out
