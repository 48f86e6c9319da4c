"""Retries of one call: which errors are retried, after which wait, until which deadline."""

import logging
import random
import time
from dataclasses import dataclass, field
from typing import Any

import tenacity

from .._constants import CONNECTION_TRIES, FIRST_WAIT, JITTER, LONGEST_WAIT, RETRIED
from ..errors import ConnectionFailed, OutcropError, StatusError, Timeout

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deadline:
    """The moment at which a call must be complete.

    Attributes
    ----------
    timeout : float
        Seconds from now.
    """

    timeout: float
    at: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", time.monotonic() + self.timeout)

    @property
    def left(self) -> float:
        """Seconds until then."""
        return self.at - time.monotonic()


def retries(deadline: Deadline) -> dict[str, Any]:
    """Return the arguments of `tenacity.Retrying` and `tenacity.AsyncRetrying`."""
    backoff = tenacity.wait_exponential_jitter(
        multiplier=FIRST_WAIT, max=LONGEST_WAIT, jitter=JITTER
    )

    def wait(state: tenacity.RetryCallState) -> float:
        error = _raised(state)
        if isinstance(error, StatusError) and error.retry_after is not None:
            return error.retry_after + random.uniform(0, JITTER)  # noqa: S311 (no secret)
        return backoff(state)

    broken_connections = 0
    last: OutcropError | None = None

    def retry(state: tenacity.RetryCallState) -> bool:
        nonlocal broken_connections, last
        error = _raised(state)
        if isinstance(error, Timeout) and last is not None:
            # The service's own error is more informative than the timeout.
            raise last from error
        if isinstance(error, ConnectionFailed):
            last = error
            broken_connections += 1
            return broken_connections < CONNECTION_TRIES
        if isinstance(error, StatusError):
            last = error
            return error.status in RETRIED
        return False

    def stop(state: tenacity.RetryCallState) -> bool:
        # Do not wait for a try that could only begin after the deadline.
        return state.upcoming_sleep >= deadline.left

    def report(state: tenacity.RetryCallState) -> None:
        logger.info("%s; next try in %.1f s", _raised(state), state.upcoming_sleep)

    return {
        "retry": retry,
        "wait": wait,
        "stop": stop,
        "before_sleep": report,
        "reraise": True,
    }


def _raised(state: tenacity.RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
