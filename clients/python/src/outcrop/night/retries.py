"""Patience: a service that is away or busy is waited for, longer than a call would.

A client's own tries outlast a restart that takes seconds; a night has minutes.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import tenacity

from .._constants import PATIENCE, PAUSE, RETRIED
from ..client import Client
from ..errors import ConnectionFailed, OutcropError, StatusError, Timeout
from ..model import Model
from ..scores import Scores
from ..spectra import Spectra

T = TypeVar("T")


class Patient:
    """A client that asks again, for up to `PATIENCE` seconds a call.

    Parameters
    ----------
    client : Client
        Threads may share it.
    over : Event
        Nothing is waited for any more once it is set.
    """

    def __init__(self, client: Client, over: threading.Event) -> None:
        self._client = client
        self._over = over

    def score(self, spectra: Spectra) -> Scores:
        """Score spectra; see `Client.score`."""
        return self._ask(lambda: self._client.score(spectra))

    def model(self) -> Model:
        """Return what the service says of its model."""
        return self._ask(self._client.model)

    def is_ready(self) -> bool:
        """Return whether the service can score now; asked once."""
        try:
            return self._client.health()
        except OutcropError:
            return False

    def _ask(self, ask: Callable[[], T]) -> T:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_fixed(PAUSE),
            stop=tenacity.stop_any(
                tenacity.stop_after_delay(PATIENCE), tenacity.stop_when_event_set(self._over)
            ),
            sleep=tenacity.sleep_using_event(self._over),
            reraise=True,
        )
        return retrying(ask)


def _may_pass(error: BaseException) -> bool:
    """Return whether an error says that the service is away or busy."""
    return isinstance(error, ConnectionFailed | Timeout) or (
        isinstance(error, StatusError) and error.status in RETRIED
    )
