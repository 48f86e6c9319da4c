"""The anomalies that are injected, of the kinds that people found in DESI by eye.

An injected object is a galaxy with S/N above 5 that has one thing wrong, or another object that
redrock takes for a galaxy. Strengths are drawn evenly in the logarithm. `inject` changes the true
spectrum or redrock's redshift and class; `inject_pixel_faults` changes the observed pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.emission import HALPHA
from training.sky.frame import OBSERVED, add_line, continuum_at, unit_mean
from training.sky.galaxies import galaxies
from training.sky.grid import LIGHT_SPEED, Array
from training.sky.noise import CAMERAS, Frame
from training.sky.quasars import broad_lines, distant_quasars
from training.sky.stars import cataclysmic_variables, stars, white_dwarfs
from training.sky.targets import Targets, draw_redshifts, draw_snr, draw_velocities

STRENGTHS: Final[Mapping[str, tuple[float, float]]] = {
    "wrong_z": (0.02, 0.12),
    "star_as_galaxy": (0.01, 0.29),
    "highz_qso": (0.05, 0.295),
    "camera_step": (0.12, 0.45),
    "bad_sky": (0.6, 2.0),
    "cosmic": (60.0, 400.0),
    "extreme_halpha": (500.0, 2500.0),
    "broad_line": (1500.0, 6000.0),
    "cv_or_wd": (10.0, 120.0),
    "blend": (0.3, 1.0),
    "lowsnr": (1.0, 3.0),
}
"""Kinds and the ranges of their strengths, which are: distance of the given redshift from the
true one (one in four is off by any amount, up to 0.29); the given redshift, for stars and distant
quasars; relative error of one camera; depth of the dip in units of the continuum; σ of the highest
spike; rest-frame equivalent width of Hα (Å); full width at half maximum (km/s); equivalent width
of Hα (Å; NaN for a white dwarf); flux of the second galaxy over the first's; S/N. lowsnr is a
control, not an anomaly."""

LOWEST_SNR: Final = 5.5
"""Injected objects other than lowsnr are at least this bright."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Spike:
    """A pixel of a cosmic target: its camera, row and pixel, and the flux that was added."""

    camera: str
    row: int
    pixel: int
    flux: float


def _wrong_z(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    true_z = objects.true_z[rows]
    sign = rng.choice([-1.0, 1.0], len(rows))
    outside = (true_z + sign * size < 0.005) | (true_z + sign * size > 0.295)
    given = true_z + np.where(outside, -sign, sign) * size
    anywhere = (rng.random(len(rows)) < 0.25) | (given < 0.005) | (given > 0.295)
    # By any amount, but not by less than what counts as wrong
    lost = (true_z + rng.uniform(0.02, 0.27, len(rows)) - 0.005) % 0.29 + 0.005
    objects.z[rows] = np.where(anywhere, lost, given)
    return np.abs(objects.z[rows] - true_z)


def _star_as_galaxy(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    objects.true_z[rows] = draw_velocities(rng, len(rows))
    objects.flux[rows] = stars(rng, objects.true_z[rows])
    objects.z[rows] = size
    return size


def _highz_qso(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    objects.true_z[rows] = rng.uniform(1.6, 2.6, len(rows))
    objects.flux[rows] = distant_quasars(rng, objects.true_z[rows])
    objects.z[rows] = size
    return size


def _extreme_halpha(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    flux, stretch = objects.flux[rows], 1 + objects.true_z[rows]
    power = size * stretch * continuum_at(flux, HALPHA * stretch)
    width = rng.uniform(40, 150, len(rows)) / LIGHT_SPEED
    add_line(flux, HALPHA * stretch, power, HALPHA * stretch * width)
    objects.flux[rows] = flux
    return size


def _broad_line(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    flux, z = objects.flux[rows], objects.true_z[rows]
    width = np.exp(rng.uniform(np.log(15), np.log(80), len(rows)))  # of Hβ, Å
    power = width * (1 + z) * continuum_at(flux, 4862.7 * (1 + z))
    broad_lines(rng, flux, z, size / 2.355, power)
    objects.flux[rows] = flux
    return size


def _cv_or_wd(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    z = draw_velocities(rng, len(rows))
    dwarf = rng.random(len(rows)) < 0.4
    flux = cataclysmic_variables(rng, z, size)
    flux[dwarf] = white_dwarfs(rng, z[dwarf])
    # Redrock classifies half of them as the stars they are, the others as galaxies
    known = rng.random(len(rows)) < 0.5
    objects.flux[rows], objects.true_z[rows] = flux, z
    objects.z[rows] = np.where(known, z, rng.uniform(0.01, 0.29, len(rows)))
    objects.spectype[rows] = np.where(known, "STAR", "GALAXY")
    return np.where(dwarf, np.nan, size)


def _blend(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    other = (objects.true_z[rows] + rng.uniform(0.03, 0.25, len(rows)) - 0.01) % 0.4 + 0.01
    objects.flux[rows] += size[:, None] * galaxies(rng, other)
    return size


def _lowsnr(rng: np.random.Generator, objects: Targets, rows: Rows, size: Array) -> Array:
    objects.snr[rows] = size
    return size


_INJECTED: Final[Mapping[str, Callable[[np.random.Generator, Targets, Rows, Array], Array]]] = {
    "wrong_z": _wrong_z,
    "star_as_galaxy": _star_as_galaxy,
    "highz_qso": _highz_qso,
    "extreme_halpha": _extreme_halpha,
    "broad_line": _broad_line,
    "cv_or_wd": _cv_or_wd,
    "blend": _blend,
    "lowsnr": _lowsnr,
}


def inject(
    rng: np.random.Generator, targets: Targets, where: Rows, kinds: NDArray[np.str_]
) -> None:
    """Make targets anomalous in place.

    Parameters
    ----------
    rng : Generator
    targets : Targets
    where : (K,) integer
        Rows of the targets that are replaced.
    kinds : (K,) str
        The kind for each, a key of `STRENGTHS`.
    """
    count = len(where)
    if count == 0:
        return

    # Galaxies to start from
    snr = draw_snr(rng, count)
    while (low := snr < LOWEST_SNR).any():
        snr[low] = draw_snr(rng, int(low.sum()))
    z = draw_redshifts(rng, snr, distant=0.0)
    given = z + rng.normal(0, 3e-5, count)
    spectype = np.full(count, "GALAXY")
    survey, strength = np.full(count, "BGS"), np.full(count, np.nan)
    objects = Targets(galaxies(rng, z), given, z, snr, spectype, kinds, strength, survey)

    for kind, (low, high) in STRENGTHS.items():
        rows = np.flatnonzero(kinds == kind)
        if not len(rows):
            continue
        size = np.exp(rng.uniform(np.log(low), np.log(high), len(rows)))
        change = _INJECTED.get(kind)
        objects.strength[rows] = size if change is None else change(rng, objects, rows, size)

    objects.flux = unit_mean(objects.flux)
    targets.replace(where, objects, slice(None))


def _dip(rng: np.random.Generator, flux: Array, z: float) -> Array:
    """Return the flux that a failed sky subtraction removes, at unit depth, (7781,)."""
    rest = OBSERVED / (1 + z)
    inside = np.flatnonzero((rest > 3620) & (rest < 7530))
    width = int(np.exp(rng.uniform(np.log(40), np.log(250))))
    start = rng.integers(inside[0], inside[-1] - width)

    # Steep sides and a ragged floor
    step, knots = np.arange(width), np.arange(0, width + 12, 12)
    edge = np.clip(np.minimum(step, step[::-1]) / (0.1 * width), 0, 1)
    ragged = np.interp(step, knots, rng.uniform(0.8, 1.0, len(knots)))

    dip = np.zeros(len(OBSERVED))
    dip[start : start + width] = np.median(flux[start : start + width]) * edge * ragged
    return dip


def inject_pixel_faults(
    rng: np.random.Generator, targets: Targets, fiber: Rows, frames: Mapping[str, Frame]
) -> list[Spike]:
    """Damage the observed pixels of camera_step, bad_sky and cosmic targets in place.

    Parameters
    ----------
    rng : Generator
    targets : (N,) Targets
        Scaled to the flux that was observed.
    fiber : (N,) integer
        The targets' rows in the frames.
    frames : mapping of str to Frame
        Cameras b, r and z, changed.

    Returns
    -------
    list of Spike
        Of the cosmic targets.
    """
    for i in np.flatnonzero(targets.kind == "camera_step"):
        frame, row = frames[str(rng.choice(["b", "r"]))], fiber[i]
        factor = 1 + rng.choice([-1, 1]) * targets.strength[i]
        frame.flux[row] *= factor
        frame.ivar[row] /= factor**2

    for i in np.flatnonzero(targets.kind == "bad_sky"):
        dip = targets.strength[i] * _dip(rng, targets.flux[i], targets.z[i])
        for camera, span in CAMERAS.items():
            frames[camera].flux[fiber[i]] -= dip[span].astype(np.float32)

    spikes: list[Spike] = []
    for i in np.flatnonzero(targets.kind == "cosmic"):
        height = targets.strength[i] * np.append(1, rng.uniform(0.4, 1.0, rng.integers(0, 3)))
        for sigmas in height:
            camera, row = str(rng.choice(list(CAMERAS))), fiber[i]
            frame = frames[camera]
            rest = OBSERVED[CAMERAS[camera]] / (1 + targets.z[i])
            good = (frame.ivar[row] > 0) & (frame.mask[row] == 0) & (rest > 3620) & (rest < 7530)
            at = rng.choice(np.flatnonzero(good))
            flux = sigmas / np.sqrt(frame.ivar[row, at])
            frame.flux[row, at] += flux
            spikes.append(Spike(camera, int(row), int(at), float(flux)))
    return spikes
