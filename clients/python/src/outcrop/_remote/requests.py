"""Requests for parts of a remote file: a limit of connections, and retries with back-off."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import tenacity

from .._constants import (
    FIRST_WAIT,
    JITTER,
    REMOTE_LONGEST_WAIT,
    REMOTE_RETRY_AFTER,
    REMOTE_TRIES,
    RETRIED,
)
from ..errors import ConnectionFailed, StatusError, Timeout
from .locks import one_of
from .source import RANGE_REFUSED, Part, Source

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RETRIED: Final = RETRIED | {408, 500, RANGE_REFUSED}


class Requests:
    """A source whose requests are repeated, within a limit of connections.

    Parameters
    ----------
    source : Source
    connections : Path
        Folder of the locks that stand for the connections of all processes.
    limit : int
        Connections at a time.
    """

    def __init__(self, source: Source, connections: Path, limit: int) -> None:
        self.address = source.address
        self._source = source
        self._connections = connections
        self._limit = limit

    def of(self, source: Source) -> "Requests":
        """Return those of another file, within the same limit."""
        return Requests(source, self._connections, self._limit)

    def get(self, start: int, stop: int) -> Part:
        """Return a range, as `Source.get`."""
        return self._retried(lambda: self._source.get(start, stop))

    def names(self) -> list[str]:
        """Return the checksum files of the folder, as `Source.names`."""
        return self._retried(self._source.names)

    def _retried(self, request: Callable[[], T]) -> T:
        def attempt() -> T:
            with one_of(self._connections, self._limit):
                return request()

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=_wait,
            stop=_stop,
            before_sleep=_report,
            reraise=True,
        )(attempt)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, StatusError):
        return error.status in _RETRIED
    return isinstance(error, ConnectionFailed | Timeout)


def _retry_after(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after or 0.0) if isinstance(error, StatusError) else 0.0


def _wait(state: tenacity.RetryCallState) -> float:
    backoff = tenacity.wait_exponential_jitter(
        multiplier=FIRST_WAIT, max=REMOTE_LONGEST_WAIT, jitter=JITTER
    )
    return max(backoff(state), _retry_after(state))


def _stop(state: tenacity.RetryCallState) -> bool:
    return state.attempt_number >= REMOTE_TRIES or _retry_after(state) > REMOTE_RETRY_AFTER


def _report(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning("%s; next try in %.1f s", error, state.upcoming_sleep)
