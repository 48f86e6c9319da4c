"""A call is retried where that may help, after growing pauses, until its deadline."""

import time
from typing import Any

import pytest
import tenacity

from outcrop import ConnectionFailed, OutcropError, Timeout, WireError
from outcrop._http.retries import Deadline, retries
from outcrop.errors import status_error


def calls(*errors: Exception, timeout: float = 60.0) -> tuple[Any, list[float]]:
    """Raise these errors in turn; return the last outcome and the pauses, which are not waited."""
    pauses: list[float] = []
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    retrying = tenacity.Retrying(**retries(Deadline(timeout)), sleep=pauses.append)
    try:
        return retrying(call), pauses
    except OutcropError as error:
        return error, pauses


def test_the_deadline_counts_down() -> None:
    deadline = Deadline(5.0)
    first = deadline.left
    time.sleep(0.01)
    assert 0 < deadline.left <= first - 0.01 < 5.0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_retried_with_growing_pauses_up_to_8_s(status: int) -> None:
    outcome, pauses = calls(*[status_error(status, "busy")] * 8)
    assert outcome == "answer"
    for pause, least in zip(pauses, [0.25, 0.5, 1, 2, 4, 8, 8, 8], strict=True):
        assert least <= pause <= min(least + 0.25, 8.25)


@pytest.mark.parametrize(
    "error",
    [
        *(status_error(status, "no") for status in (400, 401, 404, 413, 415, 500, 501)),
        *(WireError("no"), Timeout("late")),
    ],
)
def test_other_errors_are_final(error: OutcropError) -> None:
    assert calls(error) == (error, [])


def test_a_connection_is_tried_5_times() -> None:
    errors = [ConnectionFailed(f"try {number}") for number in range(1, 9)]
    outcome, pauses = calls(*errors)
    assert outcome is errors[4]
    assert len(pauses) == 4
    # A restart takes seconds.
    assert 3.75 <= sum(pauses) <= 4.75


def test_retry_after_is_the_pause() -> None:
    outcome, pauses = calls(status_error(429, "busy", retry_after=7.0))
    assert outcome == "answer"
    assert 7.0 <= pauses[0] <= 7.25


def test_a_pause_beyond_the_deadline_is_not_waited_for() -> None:
    error = status_error(429, "busy", retry_after=3600.0)
    assert calls(error) == (error, [])
    assert calls(status_error(503, "busy"), timeout=0.2)[1] == []


def test_a_timeout_after_an_error_of_the_service_raises_that_error() -> None:
    busy = status_error(503, "busy")
    assert calls(busy, Timeout("late"))[0] is busy
