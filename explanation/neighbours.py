"""Neighbours: the training spectra that are most like a spectrum, and what they are.

Likeness is distance in the latents in which the density is measured. The calibration sample says
what is far: the quantile of a distance is the share of inliers that lie nearer to their own nearest
reference spectrum.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from outcrop.explanations import Neighbour
from scoring.density import LocalOutlierFactor

from .reference import Reference

COUNT: Final = 5
"""Neighbours of a spectrum."""
FAR: Final = 0.99
"""A neighbour at a larger quantile says nothing about a spectrum."""
# Encoding a spectrum again moves its latent by some 1e-6.
_NO_DISTANCE = 1e-5


@dataclass(frozen=True)
class Vote:
    """What most of the near neighbours are.

    Attributes
    ----------
    name : str
        A label, or redrock's class where no near neighbour has a label.
    votes, voters : int
        Neighbours of that name; near neighbours that have a label, or a class.
    """

    name: str
    votes: int
    voters: int


class Neighbours:
    """Find neighbours in the reference sample of a density.

    Parameters
    ----------
    density : LocalOutlierFactor
    arrays : mapping
        Of the bundle's explanation.npz.
    labels : mapping, optional
        Label of each TARGETID that has one.

    Raises
    ------
    ValueError
        If the arrays are not of the density's reference sample.
    """

    def __init__(
        self,
        density: LocalOutlierFactor,
        arrays: Mapping[str, NDArray[np.generic]],
        labels: Mapping[int, str] | None = None,
    ) -> None:
        self.reference = Reference.from_arrays(arrays)
        if len(self.reference) != len(density.latents):
            raise ValueError(
                f"explanation.npz describes {len(self.reference)} reference spectra, density.npz "
                f"{len(density.latents)}: train again"
            )
        self._density = density
        self._labels = labels or {}

    def of(
        self, latent: NDArray[np.float32], targetid: NDArray[np.int64]
    ) -> list[tuple[Neighbour, ...]]:
        """Return the five nearest neighbours of each spectrum, the nearest first.

        Parameters
        ----------
        latent : (N, L) float32
        targetid : (N,) int64
            A reference spectrum of the same TARGETID is no neighbour.

        Returns
        -------
        list of N tuples of Neighbour
            Fewer than five where the reference sample is so small; none where the latent is not
            finite.
        """
        # One more, since one of them may be the spectrum itself.
        distance, row = self._density.nearest(latent, min(COUNT + 1, len(self.reference)))
        quantile = self.reference.quantile(distance)

        found: list[tuple[Neighbour, ...]] = []
        for i, own in enumerate(targetid.tolist()):
            others = (self.reference.targetid[row[i]] != own) & (row[i] >= 0)
            chosen = np.flatnonzero(others)[:COUNT]
            rows = zip(row[i, chosen], distance[i, chosen], quantile[i, chosen], strict=True)
            found.append(tuple(self._neighbour(*one) for one in rows))
        return found

    def place(self, latent: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return coordinates (N, 2) on the map: the mean place of the five nearest neighbours.

        Their weights are the inverse distances, so a reference spectrum lies at its own place. NaN
        where a latent is not finite.
        """
        distance, row = self._density.nearest(latent, min(COUNT, len(self.reference)))
        return mean_place(distance, self.reference.place[row])

    def _neighbour(self, row: np.int64, distance: np.float64, quantile: np.float64) -> Neighbour:
        targetid = int(self.reference.targetid[row])
        return Neighbour(
            targetid,
            float(self.reference.z[row]),
            str(self.reference.spectype[row]),
            self._labels.get(targetid, ""),
            float(distance),
            float(quantile),
        )


def mean_place(distance: NDArray[np.float64], place: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean (N, 2) of places (N, K, 2), weighted by the inverse of distances (N, K)."""
    weight = 1 / np.maximum(distance, _NO_DISTANCE)
    return np.einsum("nk,nkc->nc", weight, place) / weight.sum(axis=1, keepdims=True)


def vote(neighbours: Sequence[Neighbour]) -> Vote | None:
    """Return the label, or else the class, that more than half of the near neighbours have.

    None where no neighbour is near, a quantile of at most 0.99, or no name has the majority.
    """
    near = [one for one in neighbours if one.quantile <= FAR]
    names = [one.label for one in near if one.label] or list(
        filter(None, (one.spectype for one in near))
    )
    if not names:
        return None
    name, votes = Counter(names).most_common(1)[0]
    return Vote(name, votes, len(names)) if 2 * votes > len(names) else None
