"""The opacity of a stellar photosphere in the optical, in the manner of Gray (2005), chapter 8.

H⁻, bound-free absorption and Rayleigh scattering by hydrogen, its Balmer and Paschen lines with
their Stark wings, and the number of each absorber after Boltzmann and Saha. As is usual in this
field, temperatures are given as θ = 5040 K / T and electron pressures in dyn/cm².
"""

from typing import Final

import numpy as np

from training.sky.grid import LIGHT_SPEED, WAVE, Array
from training.sky.lines import ANGSTROM, CROSS_SECTION, DOPPLER, atomic_lines, molecular_bands

BOLTZMANN: Final = 1.38e-16  # erg/K
THOMSON: Final = 6.65e-25  # cm²
SOLAR_DENSITY: Final = 8.6e16
"""Hydrogen nuclei per cm³ in the Sun's photosphere."""

_ABUNDANCE: Final = {
    "He": 10.93, "Na": 6.24, "Mg": 7.60, "Si": 7.51, "K": 5.03, "Ca": 6.36, "Ti": 4.95,
    "Cr": 5.64, "Mn": 5.43, "Fe": 7.50, "Ni": 6.22, "Sr": 2.87, "Ba": 2.18,
}  # fmt: skip
_IONS: Final = {
    "He": (24.59, 54.42), "Na": (5.14, 47.3), "Mg": (7.65, 15.04), "Si": (8.15, 16.35),
    "K": (4.34, 31.6), "Ca": (6.11, 11.87), "Ti": (6.83, 13.58), "Cr": (6.77, 16.49),
    "Mn": (7.43, 15.64), "Fe": (7.90, 16.20), "Ni": (7.64, 18.17), "Sr": (5.69, 11.03),
    "Ba": (5.21, 10.00),
}  # fmt: skip
_PARTITION: Final = {
    "He I": 1.0, "Na I": 2.1, "Mg I": 1.0, "Mg II": 2.0, "Si II": 5.8, "K I": 2.2, "Ca I": 1.3,
    "Ca II": 2.3, "Ti I": 33.0, "Ti II": 56.0, "Cr I": 10.5, "Mn I": 6.5, "Fe I": 29.0,
    "Fe II": 44.0, "Ni I": 31.0, "Sr II": 2.3, "Ba II": 4.0,
}  # fmt: skip
_ALPHA: Final = {"Mg": 1.0, "Si": 1.0, "Ca": 0.5, "Ti": 0.7, "Na": 0.8}
# dissociation energy (eV), logarithm of the opacity (cm²) at 5420 K and the Sun's density, how
# far it can grow before one element is used up, its powers of [M/H] and of [α/M]
_MOLECULES: Final = {
    "CH": (3.47, -24.65, 5.0, 1.0, 0.2), "CN": (7.72, -25.0, 4.0, 2.0, 0.2),
    "C2": (6.30, -26.2, 3.0, 2.0, 0.3), "MgH": (1.34, -25.9, 20.0, 1.0, 1.0),
    "CaH": (1.70, -26.9, 80.0, 1.0, 0.5), "TiO": (6.87, -28.5, 2e4, 1.2, 0.7),
    "VO": (6.40, -29.4, 1e4, 1.2, 0.3),
}  # fmt: skip


def saha(theta: Array, pressure: Array, energy: float, ratio: float = 1.0) -> Array:
    """Return the number of ions over that of the stage below; energy in eV."""
    logarithm = -0.1761 - np.log10(pressure) + np.log10(ratio) - 2.5 * np.log10(theta / 5040)
    return 10 ** (logarithm - theta * energy)


def h_minus(wave: Array, theta: Array, pressure: Array) -> Array:
    """Return the opacity of H⁻ per neutral hydrogen atom, cm² (polynomials as in Gray)."""
    bound = np.polynomial.polynomial.polyval(
        wave, [1.99654, -1.18267e-5, 2.64243e-6, -4.40524e-10, 3.23992e-14, -1.39568e-18, 2.787e-23]
    )
    lg, lt = np.log10(wave), np.log10(theta)
    f0 = -2.2763 - 1.6850 * lg + 0.76661 * lg**2 - 0.053346 * lg**3
    f1 = 15.2827 - 9.2846 * lg + 1.99381 * lg**2 - 0.142631 * lg**3
    f2 = -197.789 + 190.266 * lg - 67.9775 * lg**2 + 10.6913 * lg**3 - 0.625151 * lg**4
    free = 1e-26 * 10 ** (f0 + f1 * lt + f2 * lt**2)
    return pressure * (4.158e-28 * bound * theta**2.5 * 10 ** (0.754 * theta) + free)


def last_level(electrons: Array | float) -> Array:
    """Return the last level of hydrogen whose line stands alone (Inglis and Teller)."""
    return 10 ** np.clip((23.26 - np.log10(electrons)) / 7.5, 0.74, 1.35)


def _excitation(theta: Array | float, level: int) -> Array:
    """Return the share of neutral hydrogen in a level, over its statistical weight."""
    return np.power(10.0, -theta * 13.598 * (1 - 1 / level**2))


def hydrogen_continuum(wave: Array, theta: Array, last: Array) -> Array:
    """Return bound-free opacity and Rayleigh scattering per neutral atom, cm²."""
    total = 5.799e-13 / wave**4 + 1.422e-6 / wave**6
    for level in range(2, 6):
        below = wave < 911.763 / (1 / level**2 - 1 / last**2)
        edge = 1.0449e-26 * wave**3 / level**3 * _excitation(theta, level)
        total = total + np.where(below, edge, 0.0)
    return total


def hydrogen_lines(theta: float, electrons: float) -> Array:
    """Return the opacity of the Balmer and Paschen lines per neutral atom, cm², (P,)."""
    total = np.zeros(len(WAVE))
    field = 1.25e-9 * electrons ** (2 / 3)  # Holtsmark's normal field, cgs
    for lower in (2, 3):
        populated = lower**2 * _excitation(theta, lower)
        for upper in range(lower + 1, int(last_level(electrons)) + 1):
            gap = 1 / lower**2 - 1 / upper**2
            wave = 911.763 / gap

            # Kramers' oscillator strength, with Gaunt factors that fit the first lines
            gaunt = 0.72 if upper == lower + 1 else 0.85
            strength = gaunt * 1.96 / (lower**5 * upper**3 * gap**3)

            # Widths, Å: the linear Stark effect and the Doppler core
            shift = (wave * ANGSTROM) ** 2 / 2.998e10 * 0.6 * 3.836e8 * upper * (upper - lower)
            width = shift / ANGSTROM * field
            doppler = wave * DOPPLER / LIGHT_SPEED
            inner = max(2.51 * width, doppler)

            near = slice(*np.searchsorted(WAVE, (wave - 350, wave + 350)))
            offset = np.abs(WAVE[near] - wave)
            wing = 1.5 * width**1.5 / (offset**2.5 + inner**2.5)
            core = np.exp(-((offset / doppler) ** 2)) / (np.sqrt(np.pi) * doppler)
            profile = wing + (1 - (2.51 * width / inner) ** 1.5) * core
            area = CROSS_SECTION * (wave * ANGSTROM) ** 2 * strength / ANGSTROM
            total[near] += populated * area * profile
    return total


def absorbers(
    teff: Array, pressure: Array, nuclei: Array, metals: Array, alpha: Array
) -> tuple[Array, Array]:
    """Return the absorbers in lines and bands, per hydrogen nucleus.

    Parameters
    ----------
    teff, pressure, nuclei, metals, alpha : (N,) float64
        Temperature (K), electron pressure (dyn/cm²), hydrogen nuclei per cm³, [M/H], [α/M].

    Returns
    -------
    atoms : (N, G) float64
        In the lower levels of each of `atomic_lines`, over the statistical weight.
    molecules : (N, B) float64
        Opacity of each of `molecular_bands` at full strength, cm².
    """
    theta = 5040 / (0.93 * teff)  # lines form higher up than the continuum

    atoms = []
    for lines in atomic_lines():
        element, stage = lines.species.split()
        first = saha(theta, pressure, _IONS[element][0], 2.0)
        second = saha(theta, pressure, _IONS[element][1], 1.0)
        share = (1.0 if stage == "I" else first) / (1 + first + first * second)
        abundance = _ABUNDANCE[element] - 12 + alpha * _ALPHA.get(element, 0.0)
        abundance = abundance + (0 if element == "He" else metals)
        atoms.append(10 ** (abundance - theta * lines.energy) * share / _PARTITION[lines.species])

    molecules = []
    for name in molecular_bands():
        energy, strength, limit, heavy, enhanced = _MOLECULES[name]
        growth = (theta - 1.0) * energy + np.log10(nuclei / SOLAR_DENSITY)
        formed = 10 ** np.minimum(growth, 30.0)
        formed = formed / (1 + formed / limit)  # no more than all atoms of the rarer element
        if name in ("CH", "CN", "C2"):
            formed = formed / (1 + np.exp((theta - 1.3) / 0.05))  # CO takes the carbon
        molecules.append(10 ** (strength + heavy * metals + enhanced * alpha) * formed)
    return np.transpose(atoms), np.transpose(molecules)
