"""Drift: where spectra lie in latent space, beside where inliers lay.

Each latent is cut at the deciles of the training sample. Counts of spectra per decile add up over
time and over machines, and how far their shares are from those of the calibration sample says how
far the sky, or the instrument, has moved away from what the model knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DECILES = 10


@dataclass(frozen=True, eq=False)
class Drift:
    """The reference of a bundle.

    Attributes
    ----------
    edges : (L, 9) float32
        Inner edges of the training sample's deciles of each latent, ascending.
    shares : (L, 10) float64
        Share of the calibration sample in each decile; adds up to 1 for each latent.
    """

    edges: NDArray[np.float32]
    shares: NDArray[np.float64]

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> "Drift":
        """Read what drift.npz holds."""
        return Drift(arrays["edges"].astype(np.float32), arrays["shares"].astype(np.float64))


def decile_counts(latent: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return how many latents (N, L) lie in each decile, (L, 10); on an edge is above it."""
    counts = np.empty((len(edges), DECILES), np.int64)
    for axis, inner in enumerate(edges):
        place = np.searchsorted(inner, latent[:, axis], side="right")
        counts[axis] = np.bincount(place, minlength=DECILES)
    return counts
