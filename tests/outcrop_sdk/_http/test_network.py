"""Reads and writes of a blocking client end at the deadline, through a proxy too."""

import socket
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from outcrop import Client, Timeout
from outcrop._http.network import ending_at, limit_time
from outcrop._http.retries import Deadline


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a server that sends a byte now and then, and never a whole line."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not over.wait(0.02):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join()


def test_a_request_ends_at_the_deadline(dripping: str) -> None:
    with httpx2.Client() as client:
        limit_time(client)
        before = time.monotonic()
        with ending_at(Deadline(0.3)), pytest.raises(httpx2.ReadTimeout):
            client.get(dripping, timeout=60)
        assert 0.2 < time.monotonic() - before < 5


def test_nothing_begins_after_the_deadline(dripping: str) -> None:
    with httpx2.Client() as client:
        limit_time(client)
        with ending_at(Deadline(1e-9)), pytest.raises(httpx2.ConnectTimeout):
            client.get(dripping, timeout=60)
        # Nor does a deadline that is over hold for what comes later.
        with pytest.raises(httpx2.ReadTimeout):
            client.get(dripping, timeout=httpx2.Timeout(60, read=1e-3))


def test_a_proxy_of_the_environment_is_bounded_too(
    dripping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", dripping)
    before = time.monotonic()
    with Client("http://outcrop.invalid", timeout=0.3) as client, pytest.raises(Timeout):
        client.model()
    assert time.monotonic() - before < 5
