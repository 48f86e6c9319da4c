"""Reconstruction: what a model makes of a spectrum, where its files are not at hand."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from explanation.interest import LatentScale
from outcrop import (
    Client,
    ConnectionFailed,
    InputError,
    ModelIdentity,
    Scores,
    ServerError,
    Spectra,
    Timeout,
)
from outcrop.label import Label

if TYPE_CHECKING:
    # numba takes a second to import: the page does not wait for it.
    from explanation.neighbours import Vote

_SERVICE_SECONDS: Final = 5.0
_AWAY_SECONDS: Final = 15.0
_NO_MODEL: Final = (
    "the score table has no reconstruction: start the review with --model or --url to see one"
)
_NO_FILES: Final = "it needs the files of the model: start the review with --model"


class ReviewModel(Protocol):
    """What the review asks of a model; OutcropError where there is no answer."""

    def reconstruct(self, spectrum: Spectra) -> Scores:
        """Return scores of a spectrum with the robust reconstruction."""
        ...

    def places(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return coordinates (N, 2) on the map of the training sample, NaN where there is none."""
        ...

    def neighbours(self, latent: NDArray[np.float32], targetid: int) -> list[dict[str, Any]]:
        """Return the nearest training spectra of the spectrum at a latent (L,), as JSON."""
        ...

    def votes(
        self,
        latent: NDArray[np.float32],
        targetid: int,
        labels: Sequence[Label],
        latents: NDArray[np.float32],
    ) -> "Sequence[Vote]":
        """Return what most neighbours are, by labels of spectra at latents (K, L)."""
        ...

    def neighbours_drawn(
        self, latent: NDArray[np.float32], targetid: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return rest wavelengths (M,) and what the decoder makes of these neighbours (K, M)."""
        ...

    def nearest(
        self, latent: NDArray[np.float32], latents: NDArray[np.float32], count: int
    ) -> NDArray[np.int64]:
        """Return which latents (N, L) are nearest to a latent (L,), the nearest first."""
        ...

    def scale(self, latent: NDArray[np.float32]) -> LatentScale:
        """Return what is usual in the latents (N, L) of a night, or rather of its model."""
        ...


class NoModel:
    """The score tables alone."""

    def reconstruct(self, spectrum: Spectra) -> Scores:
        """Raise an InputError."""
        raise InputError(_NO_MODEL)

    def places(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raise an InputError."""
        raise InputError(_NO_FILES)

    def neighbours(self, latent: NDArray[np.float32], targetid: int) -> list[dict[str, Any]]:
        """Raise an InputError."""
        raise InputError(_NO_FILES)

    def votes(
        self,
        latent: NDArray[np.float32],
        targetid: int,
        labels: Sequence[Label],
        latents: NDArray[np.float32],
    ) -> "Sequence[Vote]":
        """Raise an InputError."""
        raise InputError(_NO_FILES)

    def neighbours_drawn(
        self, latent: NDArray[np.float32], targetid: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Raise an InputError."""
        raise InputError(_NO_FILES)

    def nearest(
        self, latent: NDArray[np.float32], latents: NDArray[np.float32], count: int
    ) -> NDArray[np.int64]:
        """Raise an InputError."""
        raise InputError(_NO_FILES)

    def scale(self, latent: NDArray[np.float32]) -> LatentScale:
        """Return what is usual in the night."""
        return LatentScale.of(latent)


class ServedModel(NoModel):
    """The model of a service, which reconstructs; after a failed connection it is left for a while.

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
