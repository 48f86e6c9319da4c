"""Retries of a night: a client that waits minutes for an unavailable or busy service.

The retries of a plain client outlast a restart of seconds.
"""

import threading

import tenacity

from .._constants import NIGHT_RETRY_PAUSE, NIGHT_RETRY_SECONDS, RETRIED
from .._http.client_request import ClientRequest, Reply
from .._http.retries import Deadline
from ..client import Client
from ..errors import ConnectionFailed, OutcropError, StatusError, Timeout


class RetryingClient(Client):
    """A client that retries each of its requests for up to `NIGHT_RETRY_SECONDS`.

    The client's timeout is for each try of a request, not for the whole call.

    Parameters
    ----------
    client : Client
        Its connections are used, and closed with it. Threads may share it.
    stop : Event
        Once it is set no request is retried any more.
    """

    def __init__(self, client: Client, stop: threading.Event) -> None:
        self._url, self._timeout, self._http = client._url, client._timeout, client._http
        self._stop = stop

    def is_ready(self) -> bool:
        """Return whether the service can score now; one request, without retries."""
        try:
            return self.health()
        except OutcropError:
            return False

    def _send(self, request: ClientRequest, deadline: Deadline) -> Reply:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_temporary),
            wait=tenacity.wait_fixed(NIGHT_RETRY_PAUSE),
            stop=tenacity.stop_any(
                tenacity.stop_after_delay(NIGHT_RETRY_SECONDS),
                tenacity.stop_when_event_set(self._stop),
            ),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )
        send = super()._send
        return retrying(lambda: send(request, Deadline(self._timeout)))


def _is_temporary(error: BaseException) -> bool:
    """Return whether an error means that the service is unavailable or busy."""
    return isinstance(error, ConnectionFailed | Timeout) or (
        isinstance(error, StatusError) and error.status in RETRIED
    )
