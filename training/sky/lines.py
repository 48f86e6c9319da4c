"""Absorption in stars: atomic lines, a forest of weak ones, and the bands of molecules.

The named lines are in ``data/stellar_lines.csv`` and the band heads in
``data/molecular_bands.csv``. The forest of weak iron-peak lines, dense in the blue, is drawn with
a fixed seed: every simulated sky has the same atoms.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.grid import DATA, DLNWAVE, LIGHT_SPEED, WAVE, Array

CROSS_SECTION: Final = 8.853e-13  # π e² / m c², cm
ANGSTROM: Final = 1e-8  # cm
DOPPLER: Final = 18.0
"""Width of line cores, km/s: blends and microturbulence, no narrower than the grid resolves."""

# the forest: species, lines, Å in which their density falls to a third, then the lower levels
# (eV) with the median log gf that lines from there have
_FOREST: Final = (
    ("Fe I", 9000, 800.0, ((0.5, -5.5), (1.5, -4.7), (2.5, -3.9), (3.5, -3.3), (4.5, -2.9))),
    ("Ti I", 1500, 1500.0, ((0.5, -3.4), (1.5, -2.8), (2.5, -2.3))),
    ("Fe II", 2000, 900.0, ((2.8, -4.2), (4.5, -3.5), (6.5, -2.8))),
    ("Ti II", 500, 900.0, ((0.6, -3.2), (1.5, -2.8))),
)


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of one species from lower levels of about the same energy.

    Attributes
    ----------
    species : str
        Element and stage, such as ``Fe I``.
    energy : float
        Mean energy of the lower levels, eV.
    wave, strength : (L,) float64
        Vacuum Å, and gf.
    damped : bool
        Whether the lines are strong enough to have wings.
    """

    species: str
    energy: float
    wave: Array
    strength: Array
    damped: bool

    @property
    def area(self) -> Array:
        """Integrated cross-section times statistical weight, cm² Å, (L,)."""
        return CROSS_SECTION * (self.wave * ANGSTROM) ** 2 * self.strength / ANGSTROM

    @property
    def peak(self) -> Array:
        """Cross-section times statistical weight in the middle of each line, cm², (L,)."""
        return self.area / (np.sqrt(np.pi) * self.wave * DOPPLER / LIGHT_SPEED)


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@cache
def atomic_lines() -> tuple[Lines, ...]:
    """Return the named lines and the forest, by species and lower level."""
    groups: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for row in _rows("stellar_lines.csv"):
        energy = float(row["energy"])
        member = (float(row["wave"]), energy, float(row["loggf"]))
        groups.setdefault((row["species"], round(energy)), []).append(member)
    found = []
    for (species, _), members in groups.items():
        wave, energy, loggf = np.array(members).T
        found.append(Lines(species, float(energy.mean()), wave, 10**loggf, True))

    rng = np.random.default_rng(1925)
    for species, count, scale, levels in _FOREST:
        for energy, loggf in levels:
            many = count // len(levels)
            wave = np.concatenate(
                [WAVE[0] + rng.exponential(scale, many), rng.uniform(WAVE[0], WAVE[-1], many // 4)]
            )
            wave = wave[wave < WAVE[-1]]
            strength = 10 ** rng.normal(loggf, 0.7, len(wave))
            found.append(Lines(species, energy, wave, strength, False))
    return tuple(found)


def _spread(wave: Array, reach: int) -> tuple[NDArray[np.intp], Array]:
    """Return the pixels around each line, (L, 2 reach + 1), and their distances from it, Å."""
    centre = np.rint((np.log(wave) - np.log(WAVE[0])) / DLNWAVE).astype(int)
    pixel = np.clip(centre[:, None] + np.arange(-reach, reach + 1), 0, len(WAVE) - 1)
    return pixel, WAVE[pixel] - wave[:, None]


def cores(lines: Lines, weight: Array) -> Array:
    """Return the cross-section of the lines' Doppler cores, each times its weight, cm², (P,)."""
    pixel, offset = _spread(lines.wave, 4)
    width = lines.wave[:, None] * DOPPLER / LIGHT_SPEED
    profile = (weight * lines.peak)[:, None] * np.exp(-((offset / width) ** 2))
    return np.bincount(pixel.ravel(), profile.ravel(), len(WAVE)).astype(float)


def wings(lines: Lines) -> Array:
    """Return the cross-section of the damping wings at the Sun's density, cm², (P,)."""
    if not lines.damped:
        return np.zeros(len(WAVE))
    pixel, offset = _spread(lines.wave, 900)
    # Van der Waals broadening of a strong line in the Sun, 8e8 per second
    damping = 8e8 * (lines.wave * ANGSTROM) ** 2 / (4 * np.pi * 2.998e10) / ANGSTROM
    core = lines.wave[:, None] * DOPPLER / LIGHT_SPEED
    profile = (lines.area * damping / np.pi)[:, None] / (offset**2 + core**2)
    return np.bincount(pixel.ravel(), profile.ravel(), len(WAVE)).astype(float)


@cache
def molecular_bands() -> Mapping[str, Array]:
    """Return the shape of each molecule's bands, (P,), with a fixed rotational structure."""
    rng = np.random.default_rng(1927)
    shapes: dict[str, Array] = {}
    for row in _rows("molecular_bands.csv"):
        away = (WAVE - float(row["head"])) / float(row["length"])
        structure = 1 + 0.5 * rng.standard_normal(len(WAVE)).clip(-1.8, 1.8)
        band = np.where(away > 0, np.exp(-np.abs(away)) * structure, 0) * float(row["strength"])
        shapes[row["molecule"]] = shapes.get(row["molecule"], np.zeros(len(WAVE))) + band
    return shapes
