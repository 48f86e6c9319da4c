"""Targets of a petal: the objects behind its fibers, before anything is injected or observed."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.frame import OBSERVED
from training.sky.galaxies import galaxies
from training.sky.grid import Array
from training.sky.quasars import quasars
from training.sky.stars import stars

SHARES: Final = {"GALAXY": 0.978, "QSO": 0.007, "STAR": 0.015}
"""redrock's classes in the paper's sample (Nicolaou et al. 2025, section 4)."""
DISTANT: Final = 0.03
"""Share of the galaxies that lie beyond z = 0.3."""
MISTAKEN: Final = 0.001
"""Share of the galaxies that are really quasars: redrock misses a tenth of the nearby ones."""


@dataclass(eq=False)
class Targets:
    """N objects, each with a spectrum of any brightness and redrock's result for it.

    Attributes
    ----------
    flux : (N, 7781) float64
        Noiseless, common grid, observed frame, arbitrary units until `noise.scaled_to`.
    z, true_z : (N,) float64
        Redshift that redrock gives, and the object's own.
    snr : (N,) float64
        Wanted S/N, median over rest-frame bins.
    spectype : (N,) str
        redrock's class.
    kind : (N,) str
        The injected kind; empty for an inlier.
    strength : (N,) float64
        Of the injected anomaly; NaN for an inlier.
    survey : (N,) str
        ``BGS``, ``MWS`` or ``DARK``.
    """

    flux: Array
    z: Array
    true_z: Array
    snr: Array
    spectype: NDArray[np.str_]
    kind: NDArray[np.str_]
    strength: Array
    survey: NDArray[np.str_]

    def replace(
        self, rows: NDArray[np.intp], other: "Targets", chosen: NDArray[np.intp] | slice
    ) -> None:
        """Replace rows in place by the chosen targets of another petal."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)[chosen]


def draw_snr(rng: np.random.Generator, count: int) -> Array:
    """Draw S/N: median 12, 7 % below 5, a tail to 200."""
    normal = rng.standard_normal(count)
    return np.clip(12 * np.exp(0.59 * normal + 0.12 * np.maximum(normal, 0) ** 2), 1, 200)


def draw_redshifts(rng: np.random.Generator, snr: Array, distant: float = DISTANT) -> Array:
    """Draw redshifts of a bright galaxy survey: peak near 0.2, fainter galaxies farther away."""
    z = np.linspace(0.008, 0.3, 600)
    density = z**1.3 * np.exp(-((z / 0.27) ** 3.5))
    chance = np.cumsum(density) / density.sum()
    # A rank that is uniform on average and tends to small z where the S/N is high
    lean = -0.4 * np.log(snr / 12) / 0.65 + 0.92 * rng.standard_normal(len(snr))
    rank = 1 / (1 + np.exp(-1.702 * lean))
    near = np.interp(rank, chance, z)
    far = 0.3 + np.minimum(rng.exponential(0.05, len(snr)), 0.19)
    return np.where(rng.random(len(snr)) < distant, far, near)


def draw_velocities(rng: np.random.Generator, count: int) -> Array:
    """Draw radial velocities of stars over the speed of light."""
    return np.clip(rng.normal(0, 2.5e-4, count), -0.0019, 0.0019)


def draw_targets(rng: np.random.Generator, count: int) -> Targets:
    """Draw inliers in the proportions of the paper's sample."""
    snr = draw_snr(rng, count)
    spectype = rng.choice(list(SHARES), count, p=list(SHARES.values()))
    true_z = draw_redshifts(rng, snr)
    star = spectype == "STAR"
    true_z[star] = draw_velocities(rng, int(star.sum()))
    near = spectype == "QSO"
    true_z[near] = rng.uniform(0.03, 0.3, near.sum())

    nucleus = near | ((spectype == "GALAXY") & (rng.random(count) < MISTAKEN))
    flux = np.empty((count, len(OBSERVED)))
    for chosen, draw in ((nucleus, quasars), (star, stars), (~nucleus & ~star, galaxies)):
        if chosen.any():
            flux[chosen] = draw(rng, true_z[chosen])

    z = true_z + rng.normal(0, 1, count) * 3e-5 * np.clip(12 / snr, 0.2, 5)
    return Targets(
        flux,
        z,
        true_z,
        snr,
        spectype,
        np.full(count, "", "<U16"),
        np.full(count, np.nan),
        np.full(count, "BGS", "<U4"),
    )
