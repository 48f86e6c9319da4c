"""Exposures of a simulated petal: the single spectra whose mean, weighted by ivar, is its coadd.

All exposures have the coadd's signal and mask; only a spike of kind ``cosmic`` is in one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.sky.anomalies import Spike
from training.sky.noise import Frame

_DEPTH: Final = (0.7, 1.3)
"""Of an exposure, in terms of their mean, before all are scaled to add up."""


@dataclass(frozen=True, eq=False)
class Exposure:
    """One exposure of a petal.

    Attributes
    ----------
    expid, night : int
        EXPID and NIGHT (YYYYMMDD).
    frames : mapping of str to Frame
        Cameras b, r, z, with the rows of the coadd.
    """

    expid: int
    night: int
    frames: Mapping[str, Frame]


def split(
    rng: np.random.Generator,
    coadd: Mapping[str, Frame],
    spikes: Sequence[Spike],
    number: int,
    tile: int,
    night: int,
) -> list[Exposure]:
    """Split a coadd into exposures, the first half of them taken on the night before.

    Parameters
    ----------
    rng : Generator
    coadd : mapping of str to Frame
    spikes : sequence of Spike
        Those of the coadd that are in one exposure only.
    number : int
        Of exposures.
    tile, night : int
        TILEID, and the last NIGHT.
    """
    depth = rng.uniform(*_DEPTH, number)
    shares = depth / depth.sum()
    placed = list(zip(spikes, rng.integers(number, size=len(spikes)), strict=True))
    before = int((datetime.strptime(str(night), "%Y%m%d") - timedelta(days=1)).strftime("%Y%m%d"))

    frames: list[dict[str, Frame]] = [{} for _ in range(number)]
    for camera, frame in coadd.items():
        own_spikes = [each for each in placed if each[0].camera == camera]
        for own, single in zip(frames, _frames(rng, frame, shares, own_spikes), strict=True):
            own[camera] = single
    return [
        Exposure(tile * 100 + one, before if one < number // 2 else night, own)
        for one, own in enumerate(frames)
    ]


def _frames(
    rng: np.random.Generator,
    coadd: Frame,
    shares: NDArray[np.float64],
    spikes: Sequence[tuple[Spike, int]],
) -> list[Frame]:
    """Return one frame per share of the coadd's ivar; each spike is in its exposure alone."""
    variance = np.divide(1, coadd.ivar, out=np.zeros_like(coadd.ivar), where=coadd.ivar > 0)
    noise = [rng.standard_normal(variance.shape) * np.sqrt(variance / one) for one in shares]
    mean = sum(one * own for one, own in zip(shares, noise, strict=True))

    frames: list[Frame] = []
    for number, (one, own) in enumerate(zip(shares, noise, strict=True)):
        flux = coadd.flux + own - mean
        for spike, at in spikes:
            flux[spike.row, spike.pixel] += spike.flux * ((at == number) / one - 1)
        ivar = (coadd.ivar * one).astype(np.float32)
        frames.append(Frame(flux.astype(np.float32), ivar, coadd.mask))
    return frames
