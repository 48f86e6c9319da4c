"""Emission lines of galaxies, with the joint distribution of strengths of real galaxies.

Seven lines are drawn from the joint distribution of equivalent widths in DESI's bright galaxy
survey (``data/emission_lines.json``); weaker lines follow one of them, by the ratios of
recombination theory (case B, 10⁴ K) or those usual in nebulae.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.dust import attenuation
from training.sky.frame import add_line
from training.sky.grid import DATA, LIGHT_SPEED, WAVE, Array

HALPHA: Final = 6564.61
LINES: Final = {
    "HALPHA": HALPHA, "HBETA": 4862.69, "NII_6584": 6585.27, "OIII_5007": 5008.24,
    "OII_DOUBLET": 3728.5, "SII_6716": 6718.29, "SII_6731": 6732.67,
}  # fmt: skip
"""Lines whose equivalent widths are drawn, in the order of the table; vacuum Å."""

# Other lines: vacuum wavelength, the line they follow, flux ratio, and its scatter in dex.
_FOLLOWERS: Final = (
    (6549.85, "NII_6584", 0.34, 0.0), (4960.30, "OIII_5007", 0.336, 0.0),
    (4341.68, "HBETA", 0.468, 0.0), (4102.89, "HBETA", 0.259, 0.0), (3971.20, "HBETA", 0.159, 0.0),
    (3890.15, "HBETA", 0.18, 0.05), (3836.47, "HBETA", 0.073, 0.0), (3798.98, "HBETA", 0.053, 0.0),
    (5877.25, "HBETA", 0.12, 0.08), (4472.73, "HBETA", 0.042, 0.08), (6679.99, "HBETA", 0.033, 0.1),
    (7067.14, "HBETA", 0.025, 0.15), (3869.86, "OIII_5007", 0.09, 0.2),
    (3968.59, "OIII_5007", 0.028, 0.2), (4364.44, "OIII_5007", 0.008, 0.3),
    (7137.77, "HALPHA", 0.013, 0.2), (4687.02, "OIII_5007", 0.004, 0.5),
    (6302.05, "SII_6716", 0.18, 0.15), (6365.54, "SII_6716", 0.060, 0.15),
    (4069.75, "SII_6716", 0.06, 0.2), (5201.7, "SII_6716", 0.05, 0.3),
    (5756.19, "NII_6584", 0.01, 0.3), (7320.9, "HALPHA", 0.010, 0.2),
    (7331.7, "HALPHA", 0.008, 0.2), (9071.1, "HALPHA", 0.08, 0.2),
    (9533.2, "HALPHA", 0.20, 0.2),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians that describe log10 of the equivalent widths (Å) of `LINES`."""

    weight: Array
    mean: Array
    root: Array

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Return equivalent widths (count, 7), Å."""
        kind = rng.choice(len(self.weight), count, p=self.weight / self.weight.sum())
        normal = rng.standard_normal((count, self.mean.shape[1]))
        # Beyond 3 σ a Gaussian's tail describes the fit, not galaxies
        normal *= np.minimum(1, 4.5 / np.linalg.norm(normal, axis=1))[:, None]
        value = self.mean[kind] + np.einsum("nij,nj->ni", self.root[kind], normal)
        return 10 ** np.clip(value, -1.5, 2.5)


@cache
def mixture() -> Mixture:
    """Read the distribution of equivalent widths in ``training/sky/data``."""
    table = json.loads((DATA / "emission_lines.json").read_text())
    if tuple(table["lines"]) != tuple(LINES):
        raise ValueError(f"emission_lines.json has lines {table['lines']}; expected {list(LINES)}")
    root = np.linalg.cholesky(np.array(table["covariance"]))
    return Mixture(np.array(table["weight"]), np.array(table["mean"]), root)


def add_emission(
    rng: np.random.Generator,
    flux: Array,
    z: Array,
    light: NDArray[np.float32],
    widths: Array,
    gas: Array,
    motion: Array,
) -> None:
    """Add the lines of galaxies to their spectra in place.

    Parameters
    ----------
    rng : Generator
    flux : (N, 7781) float64
        Spectra on the common grid, observed frame, in the units of light.
    z : (N,) float64
    light : (N, P) float32
        Starlight on `grid.WAVE`, rest frame: the continuum that equivalent widths refer to.
    widths : (N, 7) float64
        Equivalent widths of `LINES`, Å, rest frame.
    gas : (N,) float64
        E(B - V) of the gas.
    motion : (N,) float64
        Width (σ) of the lines, km/s.
    """
    count = len(z)
    level = {
        name: np.median(light[:, np.abs(WAVE - wave) < 30], axis=1) for name, wave in LINES.items()
    }
    strength = {name: widths[:, i] * level[name] * (1 + z) for i, name in enumerate(LINES)}

    # The drawn lines, the [O II] doublet split in two
    found = [(wave, strength[name]) for name, wave in LINES.items() if name != "OII_DOUBLET"]
    ratio = rng.uniform(1.05, 1.45, count)
    found += [
        (3727.09, strength["OII_DOUBLET"] / (1 + ratio)),
        (3729.88, strength["OII_DOUBLET"] * ratio / (1 + ratio)),
    ]

    # The lines that follow them
    scatter = rng.standard_normal(count)
    for wave, leader, share, width in _FOLLOWERS:
        at = np.array([wave, LINES[leader]])
        dust = attenuation(at, gas, np.zeros(count))
        # Far from the line they follow, they are reddened differently by the gas's dust
        factor = share * 10 ** (width * scatter) * dust[:, 0] / dust[:, 1]
        found.append((wave, strength[leader] * factor))

    for wave, power in found:
        add_line(flux, wave * (1 + z), power, wave * (1 + z) * motion / LIGHT_SPEED)
