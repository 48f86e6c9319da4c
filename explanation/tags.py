"""Tags: what else lies where a segment lies, and how probable that is by chance.

Half of the z camera lies within 4 Å of some sky line, so that a tag says nothing without its
chance. It is the share of copies of the segment, shifted to all places in its camera, that have the
tag at least as much: a brighter sky, a line nearer to the middle. What all of them have is no tag.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model_store.grid import RestGrid
from outcrop.explanations import Segment, Tag
from outcrop.spectra import CAMERAS, MIDDLES, OVERLAPS, STEP, WAVE, camera_of

from .lines import ABSORPTION, EMISSION, FAINT, INFRARED_ABSORPTION
from .sky_lines import sky_brightness

_ENDS: Final = (float(WAVE["brz"][0]), *MIDDLES, float(WAVE["brz"][-1]))
"""Of the cameras, up to the middles of their overlaps, observed Å."""
_NEAR: Final = 4.0
"""A line is at a segment's middle where it is no further than this, rest-frame Å."""
_MOST_OF: Final = 0.7
"""Share of a camera that is most of it."""
_FEW_BINS: Final = 4
_SIGNIFICANT: Final = 8.0
_BESIDE: Final = 0.1
"""Share of the flux in one or two pixels that the next one may have; in a line it has a sixth."""


def tagged(
    segments: Sequence[Segment],
    grid: RestGrid,
    z: float,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
) -> tuple[Segment, ...]:
    """Return segments with their tags.

    Parameters
    ----------
    segments : sequence of Segment
        Of one spectrum.
    grid : RestGrid
    z : float
        That of the segments.
    flux, ivar : (7781,) float32
        The coadd, observed frame.
    """
    if not segments:
        return ()
    lone = _lone_pixels(flux.astype(np.float64), ivar.astype(np.float64))
    return tuple(
        replace(one, tags=tuple(_Places(one, grid, z).tags(one, lone))) for one in segments
    )


class _Places:
    """All places that a segment could have in its camera, and in the spectrum; observed Å."""

    def __init__(self, segment: Segment, grid: RestGrid, z: float) -> None:
        self.z = z
        self.bin = (1 + z) * (grid.last - grid.first) / grid.bins
        self.range = grid.first * (1 + z), grid.last * (1 + z)
        self.camera = int(camera_of(np.array(sum(segment.observed) / 2)))
        self.own, last = segment.observed
        self.width = last - self.own
        self.first = self._shifted(*self._inside(self.camera))
        self.anywhere = self._shifted(*self.range)

    def _inside(self, camera: int) -> tuple[float, float]:
        first, last = _ENDS[camera : camera + 2]
        return max(first, self.range[0]), min(last, self.range[1])

    def _shifted(self, first: float, last: float) -> NDArray[np.float64]:
        """Return where it can begin between two wavelengths and, last, where it does."""
        return np.append(np.arange(first, last - self.width + STEP, STEP), self.own)

    def tags(self, segment: Segment, lone: NDArray[np.int64]) -> list[Tag]:
        """Return the tags of the segment that apply."""
        found = [
            self._line(segment),
            self._sky(),
            self._join(segment),
            self._pixel(segment, lone),
            *(self._whole(segment, camera) for camera in range(len(CAMERAS))),
        ]
        return [one for one in found if one is not None and one.chance < 1]

    def _line(self, segment: Segment) -> Tag | None:
        lines = EMISSION + FAINT
        if segment.sign < 0:
            lines = lines + ABSORPTION + INFRARED_ABSORPTION
        wave = np.array([one.wave for one in lines])
        middle = (self.first + self.width / 2) / (1 + self.z)
        distances = np.abs(middle[:, None] - wave)
        nearest = int(distances[-1].argmin())
        away = max(float(distances[-1, nearest]), _NEAR)
        if away > max((segment.rest[1] - segment.rest[0]) / 2, _NEAR):
            return None
        return Tag(lines[nearest].name, float(np.mean(distances.min(axis=1) <= away)))

    def _sky(self) -> Tag | None:
        brightness = sky_brightness(self.first, self.first + self.width)
        if not brightness[-1] > 0:
            return None
        return Tag("sky line", float(np.mean(brightness >= brightness[-1])))

    def _join(self, segment: Segment) -> Tag | None:
        def at_join(first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.bool_]:
            return np.any([(first < high) & (last > low) for low, high in OVERLAPS], axis=0)

        if not at_join(*(np.array([one]) for one in segment.observed))[0]:
            return None
        return Tag("camera join", float(np.mean(at_join(self.first, self.first + self.width))))

    def _pixel(self, segment: Segment, lone: NDArray[np.int64]) -> Tag | None:
        first, last = segment.observed
        wave = WAVE["brz"][np.abs(lone[np.sign(lone) == segment.sign])]
        if self.width > (_FEW_BINS + 0.5) * self.bin:
            return None
        if not ((wave > first - STEP) & (wave < last)).any():
            return None
        begin = np.searchsorted(wave, self.first - STEP, side="right")
        end = np.searchsorted(wave, self.first + self.width)
        return Tag("single pixel", float(np.mean(end > begin)))

    def _whole(self, segment: Segment, camera: int) -> Tag | None:
        low, high = self._inside(camera)

        def most(first: NDArray[np.float64]) -> NDArray[np.bool_]:
            shared = np.minimum(first + self.width, high) - np.maximum(first, low)
            return (shared > _MOST_OF * (high - low)) & (shared > _MOST_OF * self.width)

        if high - low < 10 * self.bin or not most(np.array([segment.observed[0]]))[0]:
            return None
        return Tag(f"camera {CAMERAS[camera]}", float(np.mean(most(self.anywhere))))


def _lone_pixels(flux: NDArray[np.float64], ivar: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the pixels that stand out alone, or with the next one, negative where they lie below.

    The continuum is the mean of four pixels around. A line, as wide as DESI's resolution, has a
    sixth of its flux in each pixel beside; a cosmic ray has none there.
    """
    middle = slice(3, -4)
    at = {k: flux[3 + k : len(flux) - 4 + k] for k in range(-3, 5)}
    weight = {k: ivar[3 + k : len(flux) - 4 + k] for k in range(-3, 5)}
    good = np.all([one > 0 for one in weight.values()], axis=0)
    variance = {k: 1 / np.where(good, one, 1.0) for k, one in weight.items()}

    continuum = (at[-3] + at[-2] + at[3] + at[4]) / 4
    pair = at[0] + at[1] - 2 * continuum
    error = np.sqrt(variance[0] + variance[1])
    alone = np.ones(len(pair), np.bool_)
    for k in (-1, 2):
        beside = np.abs(at[k] - continuum)
        alone &= beside < _BESIDE * np.abs(pair) + 2 * np.sqrt(variance[k])
    found = good & (np.abs(pair) > _SIGNIFICANT * error) & alone
    pixels = np.arange(len(flux))[middle][found]
    return pixels * np.where(pair[found] > 0, 1, -1)
