"""Reconstruction: what the model makes of a spectrum, in this process or by the service."""

import os
import threading
import time
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from explanation.interest import LatentScale
from explanation.neighbours import Neighbours
from model_store.bundle import Bundle
from outcrop import (
    Client,
    ConnectionFailed,
    InputError,
    ModelIdentity,
    Neighbour,
    Scores,
    ServerError,
    Spectra,
    Timeout,
)
from scoring.scorer import Scorer

_SERVICE_SECONDS: Final = 5.0
_AWAY_SECONDS: Final = 15.0
_BLOCK: Final = 8192


class Reconstructing(Protocol):
    """Reconstructs spectra."""

    def reconstruct(self, spectrum: Spectra) -> Scores:
        """Return scores with the robust reconstruction; OutcropError where there is none."""
        ...


class BundledModel:
    """The model of a bundle, in this process.

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
        self, latent: NDArray[np.float32], targetid: NDArray[np.int64]
    ) -> list[tuple[Neighbour, list[float]]]:
        """Return the nearest training spectra of one spectrum and their places on the map."""
        reference = self._neighbours.reference
        found = self._neighbours.of(latent, targetid)[0]
        return [
            (one, reference.place[reference.targetid == one.targetid][0].tolist()) for one in found
        ]

    def scale(self) -> LatentScale:
        """Return what is usual in the latents."""
        return LatentScale.of(self._scorer.density.latents)


class ServedModel:
    """The model of a service; after a failed connection it is not asked for a while.

    Parameters
    ----------
    url : str
    expected : ModelIdentity
        Of the night.
    """

    def __init__(self, url: str, expected: ModelIdentity) -> None:
        self._client = Client(url, timeout=_SERVICE_SECONDS)
        self._expected = expected
        self._lock = threading.Lock()
        self._away: tuple[float, str] = (0.0, "")

    def reconstruct(self, spectrum: Spectra) -> Scores:
        """Return scores of a spectrum with the robust reconstruction.

        Raises
        ------
        OutcropError
            Where the service is away, refuses, or serves another model than that of the night.
        """
        with self._lock:
            until, reason = self._away
        if time.monotonic() < until:
            raise ConnectionFailed(reason)

        try:
            scores = self._client.score(spectrum, reconstruction=True)
        except (ConnectionFailed, Timeout, ServerError) as error:
            reason = f"the service at {self._client.url} is away: {error}"
            with self._lock:
                self._away = time.monotonic() + _AWAY_SECONDS, reason
            raise ConnectionFailed(reason) from error
        if scores.model != self._expected:
            raise InputError(
                f"the service at {self._client.url} serves model {scores.model}, the night was "
                f"scored by {self._expected}; start one with that model"
            )
        return scores
