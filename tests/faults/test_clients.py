"""Slow clients cost the others nothing."""

import http.client
import json
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from outcrop import Client, Spectra
from outcrop.wire import encode_request
from tests.service.conftest import ServedProcess, serving
from tests.service.helpers import INFER, make_spectra


def head(headers: dict[str, str], length: int) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    fields += f"Content-Length: {length}\r\n"
    return f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()


def address(served: ServedProcess) -> tuple[str, int]:
    host, _, port = served.url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.mark.slow
def test_half_a_body_takes_no_slot_and_is_rejected_at_the_deadline(
    bundle: Path, tmp_path: Path
) -> None:
    headers, body = encode_request(make_spectra(1))
    settings = {
        "OUTCROP_MODEL": str(bundle),
        "OUTCROP_DEADLINE_SECONDS": "3",
        "OUTCROP_MAX_IN_WORK": "1",
        "OUTCROP_MAX_WAITING": "0",
    }
    with serving(tmp_path, **settings) as served, ExitStack() as lines:
        hanging = [
            lines.enter_context(socket.create_connection(address(served))) for _ in range(10)
        ]
        for line in hanging:
            line.sendall(head(headers, len(body)) + body[: len(body) // 2])

        # The only slot is free for a complete request.
        assert httpx2.post(served.url + INFER, content=body, headers=headers).is_success
        for line in hanging:
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert answer.status == 408
            error = json.loads(answer.read())["error"]
            assert f"only {len(body) // 2} bytes of the body arrived" in error

        held = [
            row
            for row in httpx2.get(f"{served.url}/metrics").text.splitlines()
            if row.startswith("outcrop_body_held_bytes ")
        ]
        assert held == ["outcrop_body_held_bytes 0.0"]


@contextmanager
def trickling(served: ServedProcess, count: int) -> Iterator[None]:
    """Have slow clients send a petal each, 100 bytes ten times a second."""
    headers, body = encode_request(make_spectra(500))
    over = threading.Event()

    def trickle() -> None:
        sent = len(head(headers, len(body))) + int(headers["Inference-Header-Content-Length"])
        content = head(headers, len(body)) + body
        with ExitStack() as stack, selectors.DefaultSelector() as ready:
            lines = [
                stack.enter_context(socket.create_connection(address(served))) for _ in range(count)
            ]
            for line in lines:
                line.sendall(content[:sent])
                ready.register(line, selectors.EVENT_READ)
            begun.set()
            while not over.wait(0.1):
                # None may be answered, that is rejected, while it sends.
                answered.extend(ready.select(0))
                for line in lines:
                    line.sendall(content[sent : sent + 100])
                sent += 100

    begun, answered = threading.Event(), []
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        assert begun.wait(30)
        yield
    finally:
        over.set()
        thread.join()
    assert not answered


def rate(client: Client, spectra: Spectra, seconds: float) -> float:
    """Return spectra a second."""
    begun = time.monotonic()
    count = 0
    while time.monotonic() - begun < seconds:
        count += len(client.score(spectra))
    return count / (time.monotonic() - begun)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_beside_50_slow_clients_a_caller_keeps_four_fifths_of_its_rate(
    served: ServedProcess, spectra: Spectra
) -> None:
    ratios: list[float] = []
    with Client(served.url) as client:
        rate(client, spectra, 5)
        for _ in range(5):
            # In turns, so that other load on the machine affects both alike.
            alone = rate(client, spectra, 5)
            with trickling(served, 50):
                beside = rate(client, spectra, 5)
            ratios.append(beside / alone)
            print(f"alone {alone:.0f}, beside 50 slow clients {beside:.0f} spectra a second")  # noqa: T201
    print(f"median ratio {statistics.median(ratios):.2f}")  # noqa: T201 (`make test-faults` shows it)
    assert statistics.median(ratios) >= 0.8
