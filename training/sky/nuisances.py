"""Nuisances: what a real night has and a clean sky lacks, drawn for each petal.

The noise of each camera is a little larger or smaller than reported, sky lines leave residuals that
all fibers of the petal share, and each camera's flux is off by a few per cent. Fibers go to other
surveys too, some targets are observed on several tiles, and more of them are faint. A strength of 1
is meant to be like a real night, and 0 is a clean sky.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from outcrop.spectra import WAVE as BANDS
from training.sky.galaxies import galaxies
from training.sky.grid import Array
from training.sky.noise import CAMERAS, Systematics, curves
from training.sky.quasars import distant_quasars
from training.sky.stars import stars
from training.sky.targets import Targets, draw_targets, draw_velocities

VARIANCE: Final = (0.9, 1.2)
"""True variance over the reported one."""
RESIDUAL: Final = (0.2, 1.0)
"""rms of a camera's residuals at sky lines, in units of the noise of a sky fiber."""
OFFSET: Final = (0.01, 0.03)
"""rms of the relative error of a camera's flux."""
FIBER: Final = 0.005
"""rms of the same for a single fiber, and of its slope over the camera."""

STARS: Final = 1 / 3
"""Share of the Milky Way Survey's stars in every second petal."""
DARK: Final = 0.04
"""Share of dark-time targets, all beyond z = 0.3."""
FAINT: Final = 0.2
"""Share of the targets with S/N from 1 to 5."""
_FAINT_ALREADY: Final = 0.07
_LINE: Final = 1.3
"""A sky line has more than this times the noise between the lines."""
_WIDTH: Final = 1.5  # σ of a line's residual, pixels
_POOL: Final = 12
_OBJECTS: Final = 1 << 22

Rows = NDArray[np.intp]


def draw_systematics(rng: np.random.Generator, strength: float) -> Mapping[str, Systematics]:
    """Draw the systematic errors of a petal's cameras."""
    drawn: dict[str, Systematics] = {}
    for camera in CAMERAS:
        variance = 1 + strength * (rng.uniform(*VARIANCE) - 1)
        offset = strength * rng.uniform(*OFFSET) * rng.standard_normal()
        residual = strength * rng.uniform(*RESIDUAL) * _line_residual(rng, camera)
        drawn[camera] = Systematics(variance, offset, residual, strength * FIBER)
    return drawn


def _line_residual(rng: np.random.Generator, camera: str) -> Array:
    """Return a residual (P,) with a random amplitude, rms 1, at each sky line of a camera."""
    curve = curves()[camera]
    lines, _ = find_peaks(curve.total / curve.floor, height=_LINE)
    offset = np.arange(len(BANDS[camera])) - lines[:, None]
    return rng.standard_normal(len(lines)) @ np.exp(-0.5 * (offset / _WIDTH) ** 2)


def add_other_surveys(
    rng: np.random.Generator, targets: Targets, number: int, strength: float
) -> None:
    """Replace targets in place by Milky Way Survey stars and by dark-time targets.

    Parameters
    ----------
    number : int
        The petal's; every second one has stars.
    """
    count = len(targets.z)
    draw = rng.random(count)
    star = draw < strength * STARS * (number % 2)
    dark = draw > 1 - strength * DARK
    distant = dark & (rng.random(count) < 0.5)

    z = rng.uniform(0.31, 0.49, count)
    z[star] = draw_velocities(rng, int(star.sum()))
    z[distant] = rng.uniform(1.4, 2.8, distant.sum())
    for chosen, spectra, spectype, survey in (
        (star, stars, "STAR", "MWS"),
        (distant, distant_quasars, "QSO", "DARK"),
        (dark & ~distant, galaxies, "GALAXY", "DARK"),
    ):
        if chosen.any():
            targets.flux[chosen] = spectra(rng, z[chosen])
            targets.spectype[chosen], targets.survey[chosen] = spectype, survey
            targets.true_z[chosen] = z[chosen]
            targets.z[chosen] = z[chosen] + rng.normal(0, 3e-5, chosen.sum())


def dim(rng: np.random.Generator, targets: Targets, strength: float) -> None:
    """Make more targets faint in place, until a fifth has S/N from 1 to 5."""
    share = strength * (FAINT - _FAINT_ALREADY) / (1 - _FAINT_ALREADY)
    rows = np.flatnonzero(rng.random(len(targets.snr)) < share)
    targets.snr[rows] = np.exp(rng.uniform(0, np.log(5), len(rows)))


@dataclass(frozen=True, eq=False)
class RepeatedTargets:
    """Targets that lie on several tiles, K of them.

    Attributes
    ----------
    targets : Targets
    objects : (K,) int64
        Their objects in the coding of TARGETIDs; no other target has these.
    """

    targets: Targets
    objects: NDArray[np.int64]

    @staticmethod
    def of(seed: int, petal: int) -> "RepeatedTargets":
        """Draw those of all petals with this number on their tile."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, petal, 1 << 41]))
        targets = draw_targets(rng, _POOL)
        return RepeatedTargets(targets, _OBJECTS - 1 - np.arange(_POOL, dtype=np.int64))

    def place(self, rng: np.random.Generator, targets: Targets, strength: float) -> Rows:
        """Replace targets in place, and return the row of each repeated one, −1 if left out."""
        chosen = np.flatnonzero(rng.random(_POOL) < strength / 2)
        chosen = chosen[: len(targets.z)]
        rows = np.full(_POOL, -1)
        rows[chosen] = rng.choice(len(targets.z), len(chosen), replace=False)
        targets.replace(rows[chosen], self.targets, chosen)
        return rows


def is_repeated(targetid: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which TARGETIDs are of repeated targets, wherever they are placed."""
    return (targetid > 0) & (targetid % _OBJECTS >= _OBJECTS - _POOL)
