"""Retries of a night: a client that waits minutes for an unavailable or busy service.

The retries of a plain client outlast a restart of seconds.
"""

import logging
import threading

import tenacity

from .._constants import NIGHT_RETRY_SECONDS, RETRIED
from .._http.client_request import ClientRequest, Reply
from .._http.retries import Deadline, retries
from ..client import Client
from ..errors import ConnectionFailed, OutcropError, StatusError, Timeout

logger = logging.getLogger(__name__)


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
        self._lock = threading.Lock()
        self._waiting = False

    def is_ready(self) -> bool:
        """Return whether the service can score now; one request, without retries."""
        try:
            return self.health()
        except OutcropError:
            return False

    def _send(self, request: ClientRequest, deadline: Deadline) -> Reply:
        limits = retries(Deadline(NIGHT_RETRY_SECONDS))
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_temporary),
            wait=limits["wait"],
            stop=tenacity.stop_any(limits["stop"], tenacity.stop_when_event_set(self._stop)),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=self._report_once,
            reraise=True,
        )
        reply = retrying(lambda: self._once(request, Deadline(self._timeout)))
        self._waiting = False
        return reply

    def _report_once(self, state: tenacity.RetryCallState) -> None:
        """Log why the client waits: once, until a request is answered."""
        with self._lock:
            first, self._waiting = not self._waiting, True
        error = None if state.outcome is None else state.outcome.exception()
        logger.log(
            logging.WARNING if first else logging.DEBUG,
            "%s; trying again for up to %g s",
            error,
            NIGHT_RETRY_SECONDS,
        )


def _is_temporary(error: BaseException) -> bool:
    """Return whether an error means that the service is unavailable or busy."""
    return isinstance(error, ConnectionFailed | Timeout) or (
        isinstance(error, StatusError) and error.status in RETRIED
    )
