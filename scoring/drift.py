"""Drift: the distribution of spectra in latent space, compared with the calibration sample's.

Each latent is divided at the deciles of the training sample. Counts of spectra per decile can be
added over time and over machines. The difference between their shares and those of the calibration
sample measures how much the sky or the instrument has changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DECILES = 10


@dataclass(frozen=True, eq=False)
class Drift:
    """The reference distribution of a bundle.

    Attributes
    ----------
    edges : (L, 9) float32
        Inner edges of the training sample's deciles of each latent, ascending.
    shares : (L, 10) float64
        Share of the calibration sample in each decile; adds up to 1 for each latent.
    """

    edges: NDArray[np.float32]
    shares: NDArray[np.float64]

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays of drift.npz."""
        return {"edges": self.edges, "shares": self.shares}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Drift":
        """Read what `to_arrays` wrote."""
        return Drift(arrays["edges"].astype(np.float32), arrays["shares"].astype(np.float64))


def decile_counts(latent: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the counts (L, 10) of latents (N, L) per decile; a value on an edge is above it."""
    counts = np.empty((len(edges), DECILES), np.int64)
    for axis, inner in enumerate(edges):
        place = np.searchsorted(inner, latent[:, axis], side="right")
        counts[axis] = np.bincount(place, minlength=DECILES)
    return counts
