"""Tracks: how spectra change along a line through latent space (Figs 14 to 19 of the paper).

A track runs straight from one end to the other in equal steps. At each step stand the observed
spectrum nearest to it in latent space, and the stack of its nearest neighbours, which shows that
the one is like the others. The ends are medians of the extreme spectra of a class: of those that
are least and most of what the track is named after, measured on the reconstructions, which have
no noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .indices import of_reconstructions
from .sample import Sample

STEPS: Final = 5
MIN_MEMBERS: Final = 20
_ENDS_SHARE = 0.05
_MIN_ENDS = 3
_STACKED = (5, 20)


@dataclass(frozen=True)
class Course:
    """What a track follows.

    Attributes
    ----------
    spectype : str
    index : str
        One of `training.plots.indices.NAMES`.
    rising : bool
        Whether the index grows along the track.
    ends : (str, str)
        What the first and the last step look like.
    """

    spectype: str
    index: str
    rising: bool
    ends: tuple[str, str]


COURSES: Final[Mapping[str, Course]] = {
    "galaxies": Course("GALAXY", "colour", True, ("bluest", "reddest")),
    "quasars": Course("QSO", "broad Hα", True, ("narrowest", "broadest")),
    "stars": Course("STAR", "colour", False, ("coolest", "hottest")),
}


@dataclass(frozen=True, eq=False)
class Track:
    """Points along a line, the spectrum nearest to each, and its neighbours.

    Attributes
    ----------
    points : (S, L) float32
    nearest : (S,) int
        Rows of the sample; no spectrum twice.
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
    """Go from `start` to `end` in equal steps and find the nearest of the latents (N, L).

    By default the neighbours are a twentieth of the spectra, but at least 5 and at most 20.
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


def course_ends(
    sample: Sample, wave: NDArray[np.float64], course: Course
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Return the latents that a course starts and ends at, or None without enough spectra.

    They are the medians of the twentieths of the sample, but at least three spectra, with the
    smallest and the largest index.
    """
    index = of_reconstructions(sample, wave, course.index)
    known = np.flatnonzero(np.isfinite(index))
    if len(known) < MIN_MEMBERS:
        return None
    order = known[np.argsort(index[known], kind="stable")]
    count = max(_MIN_ENDS, round(_ENDS_SHARE * len(order)))
    least = np.median(sample.latent[order[:count]], axis=0)
    most = np.median(sample.latent[order[-count:]], axis=0)
    return (least, most) if course.rising else (most, least)


def followed(sample: Sample, course: Course) -> Sample:
    """Return the spectra a course may pass: of its class, with S/N >= 5, no anomalies."""
    bright = sample.bright
    return bright.rows((bright.spectype == course.spectype) & ~bright.anomaly)
