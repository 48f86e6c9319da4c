"""Tracks: how spectra change along a line through latent space (Figs 14 to 19 of the paper).

A track is a straight line between two points of latent space, divided into equal steps. Each step
shows the observed spectrum nearest to it and the stack of its nearest neighbours, which tells
whether that spectrum is typical. The ends are medians of the extreme spectra of a class: those
with the smallest and the largest spectral index, measured on the noise-free reconstructions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .indices import of_reconstructions
from .sample import PlotSample

STEPS: Final = 5
MIN_MEMBERS: Final = 20
_ENDS_SHARE = 0.05
_MIN_ENDS = 3
_STACKED = (5, 20)


@dataclass(frozen=True)
class TrackSpec:
    """Class of the spectra of a track, and the spectral index along which it runs.

    Attributes
    ----------
    spectype : str
    index : str
        One of `training.plots.indices.NAMES`.
    rising : bool
        Whether the index grows along the track.
    ends : (str, str)
        Adjectives for the first and the last step.
    """

    spectype: str
    index: str
    rising: bool
    ends: tuple[str, str]


TRACKS: Final[Mapping[str, TrackSpec]] = {
    "galaxies": TrackSpec("GALAXY", "colour", True, ("bluest", "reddest")),
    "quasars": TrackSpec("QSO", "broad Hα", True, ("narrowest", "broadest")),
    "stars": TrackSpec("STAR", "colour", False, ("coolest", "hottest")),
}


@dataclass(frozen=True, eq=False)
class Track:
    """Points along a line, the spectrum nearest to each, and its neighbours.

    Attributes
    ----------
    points : (S, L) float32
    nearest : (S,) int
        Rows of the sample, all different.
    neighbours : (S, K) int
        The K rows nearest to each point.
    """

    points: NDArray[np.float32]
    nearest: NDArray[np.intp]
    neighbours: NDArray[np.intp]


def track(
    latent: NDArray[np.float32],
    start: NDArray[np.floating],
    end: NDArray[np.floating],
    steps: int = STEPS,
    neighbours: int | None = None,
) -> Track:
    """Find the latents (N, L) nearest to equal steps from `start` to `end`, (L,) each.

    By default the neighbours are a twentieth of the spectra, between 5 and 20.
    """
    count = neighbours or int(np.clip(len(latent) // 20, *_STACKED))
    share = np.linspace(0, 1, steps)[:, None]
    points = ((1 - share) * start + share * end).astype(np.float32)

    distance = np.linalg.norm(latent[None] - points[:, None], axis=2)
    order = np.argsort(distance, axis=1, kind="stable")
    taken: list[int] = []
    for candidates in order.tolist():
        taken.append(next(row for row in candidates if row not in taken))
    return Track(points, np.array(taken), order[:, :count])


def track_ends(
    sample: PlotSample, wave: NDArray[np.float64], spec: TrackSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Return the latents (L,) at both ends of a track, or None if there are too few spectra.

    They are the medians of the spectra with the smallest and the largest index: a twentieth of
    the sample, at least three spectra.
    """
    index = of_reconstructions(sample, wave, spec.index)
    known = np.flatnonzero(np.isfinite(index))
    if len(known) < MIN_MEMBERS:
        return None

    order = known[np.argsort(index[known], kind="stable")]
    count = max(_MIN_ENDS, round(_ENDS_SHARE * len(order)))
    least = np.median(sample.latent[order[:count]], axis=0)
    most = np.median(sample.latent[order[-count:]], axis=0)
    return (least, most) if spec.rising else (most, least)


def track_members(sample: PlotSample, spec: TrackSpec) -> PlotSample:
    """Return the spectra a track may show: of its class, S/N >= 5, not flagged as anomalies."""
    bright = sample.bright
    return bright.rows((bright.spectype == spec.spectype) & ~bright.anomaly)
