"""Bundled model: the model of a bundle, in this process.

numba and onnxruntime take seconds to import: nothing that the list of spectra needs imports this.
"""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from explanation.interest import LatentScale
from explanation.labels import kind_of, verdict_of
from explanation.neighbours import COUNT, Neighbours, Vote, vote
from model_store.bundle import Bundle
from outcrop import InputError, ModelIdentity, Neighbour, Scores, Spectra
from outcrop.label import Label
from scoring.scorer import Scorer

_BLOCK: Final = 8192


class BundledModel:
    """The model of a bundle.

    Parameters
    ----------
    path : path
        Of the bundle.
    expected : ModelIdentity
        Of the night; InputError where the bundle is of another model.
    """

    def __init__(self, path: str | os.PathLike[str], expected: ModelIdentity) -> None:
        bundle = Bundle.open(path)
        self._scorer = Scorer(bundle, 1)
        if self._scorer.model.identity != expected:
            raise InputError(
                f"{path} is model {self._scorer.model.identity}, the night was scored by "
                f"{expected}; give the bundle of that model"
            )
        self._neighbours = Neighbours(self._scorer.density, bundle.arrays("explanation.npz"))

    def reconstruct(self, spectrum: Spectra) -> Scores:
        """Return scores of a spectrum with the robust reconstruction."""
        return self._scorer.score(spectrum, reconstruction=True)

    def places(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return coordinates (N, 2) on the map of the training sample, NaN where there is none."""
        found = np.full((len(latent), 2), np.nan, np.float32)
        known = np.flatnonzero(np.isfinite(latent).all(axis=1))
        for start in range(0, len(known), _BLOCK):
            block = known[start : start + _BLOCK]
            found[block] = self._neighbours.place(latent[block])
        return found

    def neighbours(self, latent: NDArray[np.float32], targetid: int) -> list[dict[str, Any]]:
        """Return the nearest training spectra of the spectrum at a latent (L,), as JSON."""
        reference = self._neighbours.reference
        (found,) = self._neighbours.of(latent[None], np.array([targetid]))
        places = (reference.place[reference.targetid == one.targetid][0] for one in found)
        return [
            {**asdict(one), "targetid": str(one.targetid), "place": place.tolist()}
            for one, place in zip(found, places, strict=True)
        ]

    def votes(
        self,
        latent: NDArray[np.float32],
        targetid: int,
        labels: Sequence[Label],
        latents: NDArray[np.float32],
    ) -> list[Vote]:
        """Return what most of the spectrum's neighbours are, and whether they are interesting.

        Neighbours are its nearest training spectra and the nearest of those that have labels.

        Parameters
        ----------
        latent : (L,) float32
        targetid : int
        labels : sequence of K Label
            Of one scanner.
        latents : (K, L) float32
            Of the labelled spectra; NaN for targets of other nights.
        """
        (found,) = self._neighbours.of(latent[None], np.array([targetid]))
        near = [one for one in self._labelled(latent, labels, latents) if one.targetid != targetid]
        known = {one.targetid for one in near}
        near += [one for one in found if one.targetid not in known]

        def called(name: Callable[[Label], str]) -> list[Neighbour]:
            names = {label.targetid: name(label) for label in labels}
            return [replace(one, label=names.get(one.targetid, "")) for one in near]

        verdicts = [one for one in called(verdict_of) if one.label]
        return [one for one in (vote(called(kind_of)), vote(verdicts)) if one is not None]

    def _labelled(
        self, latent: NDArray[np.float32], labels: Sequence[Label], latents: NDArray[np.float32]
    ) -> list[Neighbour]:
        """Return the labelled spectra that are nearest to a latent, the nearest first."""
        rows = self.nearest(latent, latents, COUNT + 1)
        axes = self._scorer.density.axes
        distance = np.linalg.norm((latents[rows] - latent)[:, axes].astype(np.float64), axis=1)
        quantile = self._neighbours.reference.quantile(distance)
        return [
            Neighbour(labels[row].targetid, math.nan, "", "", *far)
            for row, *far in zip(rows.tolist(), distance.tolist(), quantile.tolist(), strict=True)
        ]

    def neighbours_drawn(
        self, latent: NDArray[np.float32], targetid: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return rest wavelengths (M,) and what the decoder makes of these neighbours (K, M)."""
        reference, density = self._neighbours.reference, self._scorer.density
        (found,) = self._neighbours.of(latent[None], np.array([targetid]))
        rows = [np.flatnonzero(reference.targetid == one.targetid)[0] for one in found]
        wave = self._scorer.model.wave.astype(np.float32)
        if not rows:
            return wave, np.zeros((0, len(wave)), np.float32)
        return wave, self._scorer.vae.decode(density.latents[rows])

    def nearest(
        self, latent: NDArray[np.float32], latents: NDArray[np.float32], count: int
    ) -> NDArray[np.int64]:
        """Return which latents (N, L) are nearest to a latent (L,), the nearest first."""
        axes = self._scorer.density.axes
        distance = ((latents[:, axes] - latent[axes]) ** 2).sum(axis=1)
        known = np.flatnonzero(np.isfinite(distance))
        return known[np.argsort(distance[known], kind="stable")[:count]]

    def scale(self, latent: NDArray[np.float32]) -> LatentScale:
        """Return what is usual in the latents."""
        return LatentScale.of(self._scorer.density.latents)
