"""Noise, masks and small faults: from a true flux to the pixels of a DESI coadd.

The noise of a faint fiber follows the curve measured in real coadds (``data/noise.csv``), with
the sky's lines and the edges of the cameras; the object's own photons add to it. The reported
inverse variance is the true one. Spectra are calibrated to a few parts in a thousand, keep
residuals of the sky's lines, and lose under one per cent of their pixels.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from outcrop.spectra import STEP
from outcrop.spectra import WAVE as BANDS
from training.sky.frame import OBSERVED
from training.sky.grid import DATA, Array

CAMERAS: Final[Mapping[str, slice]] = {
    "b": slice(0, 2751),
    "r": slice(2700, 5026),
    "z": slice(4900, 7781),
}
"""Each camera's pixels on the common grid."""
LEVEL: Final[Mapping[str, float]] = {"b": 1.9, "r": 1.0, "z": 0.8}
"""Median noise of a faint fiber, 1e-17 erg/s/cm²/Å per pixel, in a bright-time exposure."""
SKY: Final = 6.0
"""Flux of an object whose photons make as much noise as the sky does, 1e-17 erg/s/cm²/Å."""

_RESIDUAL_SCATTER: Final = 0.15
"""rms, from fiber to fiber, of the residuals of the sky that they share."""

COSMIC: Final = 1 << 2
BAD_COLUMN: Final = 1 << 10
NO_DATA: Final = 1 << 8


@dataclass(frozen=True, eq=False)
class Curve:
    """Noise of one camera in units of its median.

    Attributes
    ----------
    total : (P,) float64
        Of a faint fiber, sky lines included.
    floor : (P,) float64
        Without the sky lines: the running lower envelope.
    """

    total: Array
    floor: Array


@cache
def curves() -> Mapping[str, Curve]:
    """Read the noise of the three cameras that ``training/sky/data`` holds."""
    with (DATA / "noise.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = {}
    for camera in CAMERAS:
        total = np.array([float(row["noise"]) for row in rows if row["camera"] == camera])
        if len(total) != len(BANDS[camera]):
            raise ValueError(
                f"noise.csv has {len(total)} pixels of camera {camera}; "
                f"expected {len(BANDS[camera])}"
            )
        padded = np.pad(total, 60, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 121)
        found[camera] = Curve(total, np.minimum(np.percentile(windows, 15, axis=1), total))
    return found


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera of a petal as observed: flux, ivar float32 and mask int32, each (N, P)."""

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    mask: NDArray[np.int32]


def variance(flux: Array, camera: str, level: Array) -> Array:
    """Return the variance (N, P) of a flux (N, P) in one camera; level (N,) scales the noise."""
    curve = curves()[camera]
    own = np.maximum(flux, 0) / SKY * curve.floor**2
    return (LEVEL[camera] * level[:, None]) ** 2 * (curve.total**2 + own)


def signal_to_noise(flux: Array, z: Array, level: Array) -> Array:
    """Return the median S/N of rest-frame bins of 3.956 Å from 3600 to 7556 Å, (N,).

    Estimated from every eleventh pixel, scaled to the pixels that a bin holds.
    """
    width = 3.956 * (1 + z) / STEP
    # Shares of pixels at either end of a bin average down the noise a little further
    pixels = width**2 / (width - 1 / 3)

    ratio, wave = [], []
    for camera, span in CAMERAS.items():
        part, curve = flux[:, span][:, ::11], curves()[camera]
        own = np.maximum(part, 0) / SKY * curve.floor[::11] ** 2
        ratio.append(part / np.sqrt(curve.total[::11] ** 2 + own) / LEVEL[camera])
        wave.append(OBSERVED[span][::11])

    rest = np.concatenate(wave) / (1 + z[:, None])
    inside = (rest > 3600) & (rest < 7556)
    ranked = np.sort(np.where(inside, np.hstack(ratio), np.inf), axis=1)
    middle = np.take_along_axis(ranked, inside.sum(axis=1, keepdims=True) // 2, axis=1)[:, 0]
    return middle / level * np.sqrt(pixels)


def scaled_to(flux: Array, z: Array, snr: Array, level: Array) -> Array:
    """Scale spectra so that they are observed with the wanted S/N (`signal_to_noise`)."""
    # S/N grows with flux at first, with its root where the object outshines the sky
    amplitude = np.ones(len(flux))
    for _ in range(7):
        found = signal_to_noise(flux * amplitude[:, None], z, level)
        amplitude *= (snr / np.maximum(found, 0.01)) ** 1.3
    return flux * amplitude[:, None]


def _calibration(rng: np.random.Generator, count: int, camera: str) -> Array:
    """Return the throughput's error (N, P): a camera's offset and a smooth curve."""
    wave = BANDS[camera]
    x = np.linspace(-1, 1, len(wave))
    shapes = np.polynomial.legendre.legvander(x, 3).T
    error = rng.normal(0, [0.003, 0.0025, 0.0015, 0.001], (count, 4)) @ shapes
    shared = rng.normal(0, [0.002, 0.002, 0.0015, 0.001]) @ shapes  # by the petal's standard stars
    return 1 + error + shared


def _sky_residual(rng: np.random.Generator, count: int, camera: str) -> Array:
    """Return the residuals of subtracted sky lines, in units of the noise, (N, P)."""
    curve = curves()[camera]
    strength = np.clip(curve.total / curve.floor - 1.3, 0, 3) / 3
    slope = np.gradient(curve.total) / curve.total
    patterns = np.stack([strength, strength * np.clip(slope / 0.2, -1.5, 1.5)])
    shared = rng.normal(0, 0.1, 2)
    return (shared + rng.normal(0, 0.2, (count, 2))) @ patterns


def _faults(rng: np.random.Generator, frame: Frame) -> None:
    """Damage pixels in place: some without information, some marked in the mask only."""
    scale = np.maximum(np.abs(np.median(frame.flux, axis=1)), 1.0)
    _bad_pixels(rng, frame, scale)
    _cosmics(rng, frame, scale)
    _bad_columns(rng, frame)
    _gaps(rng, frame)


def _bad_pixels(rng: np.random.Generator, frame: Frame, scale: Array) -> None:
    """Replace single pixels by values without information; half of them are in the mask."""
    count, pixels = frame.flux.shape
    hits = rng.poisson(0.002 * count * pixels)
    row, column = rng.integers(count, size=hits), rng.integers(pixels, size=hits)
    frame.ivar[row, column] = 0
    junk = rng.standard_normal(len(row)) * scale[row] * 10 ** rng.uniform(0, 4, len(row))
    frame.flux[row, column] = junk
    known = rng.random(len(row)) < 0.5
    frame.mask[row[known], column[known]] |= COSMIC


def _cosmics(rng: np.random.Generator, frame: Frame, scale: Array) -> None:
    """Add cosmic rays: short trails in flux and mask, with the inverse variance unchanged."""
    count, pixels = frame.flux.shape
    for _ in range(rng.poisson(1.2 * count)):
        i, start, length = rng.integers(count), rng.integers(pixels), rng.integers(1, 6)
        trail = slice(start, start + length)
        frame.flux[i, trail] += scale[i] * 10 ** rng.uniform(0.3, 2.5)
        frame.mask[i, trail] |= COSMIC


def _bad_columns(rng: np.random.Generator, frame: Frame) -> None:
    """Mask the same few pixels in a block of fibers, and longer runs in single fibers."""
    count, pixels = frame.flux.shape
    for _ in range(rng.poisson(2)):
        first, start = rng.integers(count), rng.integers(pixels)
        block = (
            slice(first, first + rng.integers(10, 60)),
            slice(start, start + rng.integers(2, 12)),
        )
        frame.mask[block] |= BAD_COLUMN
        frame.ivar[block] = 0

    for i in np.flatnonzero(rng.random(count) < 0.15):
        start = rng.integers(pixels)
        run = slice(start, start + rng.integers(5, 40))
        frame.mask[i, run] |= BAD_COLUMN
        if rng.random() < 0.5:
            frame.ivar[i, run] = 0
        frame.flux[i, run] *= rng.uniform(-1, 3)


def _gaps(rng: np.random.Generator, frame: Frame) -> None:
    """Remove a large part of a camera from a few spectra."""
    count, pixels = frame.flux.shape
    for i in np.flatnonzero(rng.random(count) < 0.002):
        start = rng.integers(pixels)
        run = slice(start, start + rng.integers(400, 1500))
        frame.ivar[i, run] = 0
        frame.flux[i, run] = 0
        frame.mask[i, run] |= NO_DATA


@dataclass(frozen=True, eq=False)
class Systematics:
    """Errors that a petal's fibers share in one camera.

    Attributes
    ----------
    variance : float
        True variance over the reported one.
    offset : float
        Relative error of the flux.
    residual : (P,) float64
        What is left of the sky, in units of the noise of a faint fiber.
    fiber : float
        rms of the relative error of a single fiber's flux, and of its slope over the camera.
    """

    variance: float
    offset: float
    residual: Array
    fiber: float


def _throughput(rng: np.random.Generator, count: int, camera: str, shared: Systematics) -> Array:
    """Return the error of the flux (N, P): the petal's offset, and each fiber's own."""
    shapes = np.stack([np.ones(len(BANDS[camera])), np.linspace(-1, 1, len(BANDS[camera]))])
    return 1 + shared.offset + rng.normal(0, shared.fiber, (count, 2)) @ shapes


def observe(
    rng: np.random.Generator,
    flux: Array,
    level: Array,
    systematics: Mapping[str, Systematics] | None = None,
) -> dict[str, Frame]:
    """Observe fluxes (N, 7781) with the three cameras.

    Parameters
    ----------
    rng : Generator
    flux : (N, 7781) float64
        1e-17 erg/s/cm²/Å, common grid.
    level : (N,) float64
        Noise of each fiber relative to `LEVEL`.
    systematics : mapping of str to Systematics, optional
        Of each camera. Default: none.

    Returns
    -------
    dict of str to Frame
        Cameras b, r, z, noise and small faults included.
    """
    frames = {}
    for camera, span in CAMERAS.items():
        true = flux[:, span]
        var = variance(true, camera, level)

        seen = true * _calibration(rng, len(true), camera)
        faint = LEVEL[camera] * level[:, None] * curves()[camera].total
        seen = seen + faint * _sky_residual(rng, len(true), camera)
        noise = np.sqrt(var) * rng.standard_normal(var.shape, dtype=np.float32)
        if systematics is not None:
            shared = systematics[camera]
            seen = seen * _throughput(rng, len(true), camera, shared)
            of_fiber = rng.normal(1, _RESIDUAL_SCATTER, (len(true), 1))
            seen = seen + faint * of_fiber * shared.residual
            noise = noise * np.sqrt(shared.variance)
        seen = seen + noise

        frame = Frame(
            seen.astype(np.float32), (1 / var).astype(np.float32), np.zeros(var.shape, np.int32)
        )
        _faults(rng, frame)
        frames[camera] = frame
    return frames
