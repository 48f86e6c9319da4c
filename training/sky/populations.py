"""Single-age stellar populations: the terms of a galaxy's starlight.

A population is made of the main sequence up to the turn-off of its age, with the initial mass
function of Kroupa (2001), and of the giants beyond it, which give a share of the light that
depends on age and whose temperatures depend on age and metallicity: red supergiants, the clump,
the red giant branch, the horizontal branch. Each star shines with a spectrum of `atmospheres`.
Luminosities and temperatures along the sequences are rounded textbook values.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.atmospheres import atmospheres
from training.sky.grid import WAVE, Array

AGES: Final = 10 ** np.array(
    [6.5, 6.8, 7.1, 7.4, 7.7, 8.0, 8.3, 8.55, 8.8, 9.0, 9.2, 9.4, 9.6, 9.8, 10.0, 10.12]
)
"""Ages of the populations, years."""
METALS: Final = np.array([-1.3, -0.6, 0.0, 0.35])
ALPHA: Final = np.array([0.0, 0.4])

# main sequence: mass and luminosity in solar units, temperature in K
_MASS: Final = [0.09, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.5, 2, 3, 5, 10, 20, 40, 80]
_LIGHT: Final = [6e-4, 5e-3, 0.015, 0.04, 0.12, 0.33, 1, 2, 5, 17, 90, 600, 6e3, 4.5e4, 2.4e5, 9e5]
_TEFF: Final = [2850, 3200, 3450, 3750, 4300, 5000, 5780, 6250, 7050, 8900, 12200, 16800, 25000,
                34000, 41000, 45000]  # fmt: skip
# giants: share of the bolometric light at a logarithm of age
_GIANT_AGE: Final = [6.5, 6.8, 7.0, 7.4, 8.0, 8.5, 9.0, 9.5, 10.1]
_GIANT_SHARE: Final = [0.0, 0.03, 0.30, 0.30, 0.25, 0.30, 0.42, 0.52, 0.60]
# their temperatures: (K at solar metallicity, change per dex of metallicity, share) by age
_GIANTS: Final = (
    (7.0, ((3700, -250, 0.5), (8500, -1500, 0.5))),
    (7.9, ((4000, -300, 0.4), (5200, -200, 0.3), (7500, -1500, 0.3))),
    (8.7, ((3500, -300, 0.25), (4300, -350, 0.15), (5000, -250, 0.60))),
    (9.3, ((3500, -350, 0.15), (4250, -400, 0.30), (4800, -300, 0.55))),
    (10.2, ((3550, -400, 0.20), (4150, -450, 0.35), (4700, -350, 0.40), (5300, -2200, 0.05))),
)

_NODES: Final = np.array(
    [2850, 3050, 3250, 3450, 3650, 3900, 4200, 4500, 4900, 5300, 5700, 6100, 6500, 7000, 7600,
     8300, 9200, 10500, 12500, 16000, 22000, 31000, 45000.0]
)  # fmt: skip


def interpolation(nodes: Array, values: Array) -> Array:
    """Return weights (N, nodes) that interpolate linearly; beyond the ends, the end's value."""
    upper = np.clip(np.searchsorted(nodes, values), 1, len(nodes) - 1)
    part = np.clip((values - nodes[upper - 1]) / (nodes[upper] - nodes[upper - 1]), 0, 1)
    out = np.zeros((len(values), len(nodes)))
    rows = np.arange(len(values))
    out[rows, upper - 1], out[rows, upper] = 1 - part, part
    return out


def _main_sequence(age: float, metals: float) -> tuple[Array, Array]:
    """Return temperatures and luminosities of the living stars per solar mass formed."""
    mass = np.geomspace(0.09, 80, 1500)
    number = np.where(mass < 0.5, 2 * mass**-1.3, mass**-2.3) * np.gradient(mass)
    number /= (number * mass).sum()
    lifetime = 1e10 * mass**-2.5 + 3e6
    lived = age / lifetime
    light = np.interp(np.log(mass), np.log(_MASS), np.log(_LIGHT))
    light = np.exp(light) * (1 + lived) * 10 ** (-0.1 * metals)
    teff = np.exp(np.interp(np.log(mass), np.log(_MASS), np.log(_TEFF)))
    teff = teff * (1 - 0.10 * lived**2) * 10 ** (-0.035 * metals)
    alive = lived < 1
    return teff[alive], (number * light)[alive]


def _giants(age: float, metals: float) -> tuple[Array, Array]:
    """Return temperatures of the giants and their shares of the giants' light."""
    kinds, weights = [], []
    centres = np.array([when for when, _ in _GIANTS])
    blend = interpolation(centres, np.array([np.log10(age)]))[0]
    for weight, (_, members) in zip(blend, _GIANTS, strict=True):
        for teff, slope, share in members:
            kinds.append(teff + slope * metals)
            weights.append(weight * share)
    return np.clip(kinds, 2900, 12000), np.array(weights)


@cache
def populations() -> NDArray[np.float32]:
    """Return the light of populations for a solar mass of stars formed; computed once.

    Returns
    -------
    (A, Z, X, P) float32
        Solar luminosities per Å by `AGES`, `METALS` and `ALPHA`, on `grid.WAVE`.
    """
    kinds = np.repeat([0, 1], len(_NODES))  # dwarfs, giants
    teff = np.tile(_NODES, 2)
    giant = np.clip(0.6 + (teff - 3500) * 1.5e-3, 0.2, 3.2)
    logg = np.where(kinds == 0, np.where(teff < 4000, 4.8, np.where(teff < 7000, 4.4, 4.0)), giant)

    light = np.empty((len(AGES), len(METALS), len(ALPHA), len(WAVE)), np.float32)
    for j, metals in enumerate(METALS):
        for k, alpha in enumerate(ALPHA):
            ones = np.ones(len(teff))
            stars = atmospheres(teff, logg, metals * ones, alpha * ones)
            stars /= (5.67e-5 * teff**4)[:, None].astype(np.float32)

            weight = np.zeros((len(AGES), len(teff)))
            for i, age in enumerate(AGES):
                temperature, power = _main_sequence(age, metals)
                weight[i, : len(_NODES)] = power @ interpolation(
                    np.log(_NODES), np.log(temperature)
                )

                share = np.interp(np.log10(age), _GIANT_AGE, _GIANT_SHARE)
                cool, part = _giants(age, metals)
                evolved = power.sum() * share / (1 - share) * part
                weight[i, len(_NODES) :] = evolved @ interpolation(np.log(_NODES), np.log(cool))

            light[:, j, k] = weight.astype(np.float32) @ stars
    return light
