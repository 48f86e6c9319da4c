"""Bytes in memory are limited, and uploads that stall do not keep others out."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx2
import pytest

from service.application import Application
from service.http.budget import PATIENCE_SECONDS, Budget
from service.http.errors import Problem
from tests.service.helpers import (
    JSON,
    URL,
    assert_error,
    encoded,
    listening,
    make_spectra,
    score_request,
    wait_for,
)

pytestmark = pytest.mark.long


def test_responses_are_counted_and_never_refused() -> None:
    budget = Budget(100)
    with budget.responding(500):
        assert budget.held == 500
        with pytest.raises(Problem, match="500 of at most 100"):
            budget.take(1)
        with pytest.raises(Problem):
            budget.check()
    assert budget.held == 0
    budget.check()
    budget.take(100)
    budget.check()


def test_a_full_budget_ends_uploads_that_stall_and_no_others() -> None:
    budget = Budget(100)
    ended: list[str] = []
    with (
        budget.uploading(lambda: ended.append("stalled")) as stalled,
        budget.uploading(lambda: ended.append("recent")),
    ):
        stalled.progressed = time.monotonic() - PATIENCE_SECONDS - 1
        budget.take(100)
        assert ended == []
        with pytest.raises(Problem):
            budget.take(1)
        assert ended == ["stalled"]
    with pytest.raises(Problem):
        budget.take(1)
    assert ended == ["stalled"]


def test_a_client_gets_its_turn_beside_uploads_that_stall(
    make_application: Callable[..., Application],
) -> None:
    body = encoded(score_request(make_spectra(1, ("b",)), reconstruction=False))
    application = make_application(max_inflight_bytes=4 * len(body))
    with listening(application) as port, ExitStack() as stack:
        head = f"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        stalled = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(4)
        ]
        for each in stalled:
            each.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:-100])

        held = application.metrics.registry.get_sample_value
        wait_for(lambda: held("outcrop_body_held_bytes") == 4 * (len(body) - 100))
        assert_error(httpx2.post(f"{URL}:{port}/score", content=body, headers=JSON), 429)
        wait_for(lambda: httpx2.post(f"{URL}:{port}/score", content=body, headers=JSON).is_success)
        for each in stalled:
            assert each.recv(65536).startswith(b"HTTP/1.1 408")
        wait_for(lambda: held("outcrop_body_held_bytes") == 0)
