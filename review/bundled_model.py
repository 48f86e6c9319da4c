"""Bundled model: the model of a bundle, in this process.

numba and onnxruntime take seconds to import: nothing that the list of spectra needs imports this.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from explanation.interest import LatentScale
from explanation.neighbours import Neighbours
from model_store.bundle import Bundle
from outcrop import InputError, ModelIdentity, Scores, Spectra
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

    def neighbours(
        self, latent: NDArray[np.float32], targetid: int, labels: Mapping[int, str]
    ) -> list[dict[str, Any]]:
        """Return the nearest training spectra of the spectrum at a latent (L,), as JSON."""
        reference = self._neighbours.reference
        (found,) = self._neighbours.of(latent[None], np.array([targetid]))
        places = (reference.place[reference.targetid == one.targetid][0] for one in found)
        return [
            {**asdict(one), "targetid": str(one.targetid), "place": place.tolist()}
            for one, place in zip(found, places, strict=True)
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
