"""Clients that send without end, send nothing or read nothing cost the service little."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from outcrop import Client
from outcrop.wire import encode_request
from tests.service.conftest import ServedProcess, serving
from tests.service.helpers import INFER, JSON, assert_error, encoded, make_spectra, wait_for

MIB = 2**20
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = (
    b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0"
)
ENDLESS = {
    "headers": (GET, b"a: " + b"b" * 1000 + b"\r\n"),
    "short headers": (GET, b"a:\r\n"),
    "a header": (GET + b"a: ", b"b" * 1000),
    "a name": (GET, b"b" * 1000),
    "a path": (b"GET /", b"b" * 1000),
    "blank lines": (b"", b"\r\n"),
    "trailers": (CHUNKED + b"\r\n", b"a: " + b"b" * 1000 + b"\r\n"),
    "a trailer's name": (CHUNKED + b"\r\n", b"b" * 1000),
    "a chunk's extension": (CHUNKED + b";a=", b"b" * 1000),
    "pipelined requests": (b"", GET + b"\r\n"),
}
# Spectra of one pixel: a small request whose response is large.
SHORT = {"z": 0.1, "wavelength": [3600.0], "flux": [1.0], "ivar": [1.0]}
UNREAD = encoded({"spectra": [SHORT] * 1000})
BUDGET = 32 * MIB


@pytest.fixture
def start(bundle: Path, tmp_path: Path) -> Iterator[Callable[..., ServedProcess]]:
    """A function that starts a process of one's own."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(
            serving(tmp_path, OUTCROP_MODEL=str(bundle), **options)
        )


def worker(served: ServedProcess) -> psutil.Process:
    (process,) = psutil.Process(served.process.pid).children(recursive=True)
    return process


def connect(served: ServedProcess) -> socket.socket:
    connection = socket.socket()
    # Before it connects, so that the kernel keeps little of what is not read.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", int(served.url.rpartition(":")[2])))
    return connection


def metric(served: ServedProcess, series: str) -> float:
    for line in httpx2.get(f"{served.url}/metrics", timeout=60).text.splitlines():
        if line.startswith(f"{series} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def head(path: str, size: int, headers: dict[str, str]) -> bytes:
    fields = {"Host": "localhost", "Content-Length": str(size), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode()


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_head_without_end_costs_little_memory(served: ServedProcess, kind: str) -> None:
    begin, more = ENDLESS[kind]
    process = worker(served)
    before = process.memory_info().rss
    part = more * (MIB // len(more))
    peak = sent = 0
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as attacker:
        attacker.settimeout(30)
        with contextlib.suppress(OSError):
            attacker.sendall(begin)
            for _ in range(200):
                attacker.sendall(part)
                sent += len(part)
                peak = max(peak, process.memory_info().rss)
        assert httpx2.get(f"{served.url}/livez", timeout=5).is_success
    assert peak - before < 60 * MIB
    if kind != "blank lines":
        assert sent < 100 * MIB


def test_silent_connections_leave_room_where_descriptors_are_few(
    start: Callable[..., ServedProcess],
) -> None:
    served = start(descriptors="64")
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(served))
        for _ in range(20):
            assert httpx2.get(f"{served.url}/livez", timeout=5).is_success
        wait_for(lambda: "connections without a request were closed" in served.log.read_text())
    assert served.log.read_text().count("connections without a request were closed") < 10


def test_without_descriptors_the_process_waits_and_does_not_spin(
    start: Callable[..., ServedProcess],
) -> None:
    served = start()
    process = worker(served)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), 4096))
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connect(served))
        time.sleep(1)
        used = sum(process.cpu_times()[:2])
        time.sleep(4)
        assert sum(process.cpu_times()[:2]) - used < 2
        assert len(served.log.read_text().splitlines()) < 200
        process.rlimit(psutil.RLIMIT_NOFILE, (4096, 4096))
    assert httpx2.get(f"{served.url}/livez", timeout=60).is_success


@pytest.mark.slow
def test_uploads_that_stall_leave_room_for_others(start: Callable[..., ServedProcess]) -> None:
    headers, body = encode_request(make_spectra(1000))
    served = start(OUTCROP_MAX_INFLIGHT_BYTES=str(8 * len(body)))
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(connect(served))
            connection.sendall(head(INFER, len(body), headers) + body[:-1000])
        wait_for(lambda: metric(served, "outcrop_body_held_bytes") == 8 * (len(body) - 1000))

        begun = time.monotonic()
        with Client(served.url) as client:
            for _ in range(5):
                assert len(client.score(make_spectra(500))) == 500
        assert time.monotonic() - begun < 40
        wait_for(lambda: metric(served, 'outcrop_rejected_total{reason="slow_body"}') == 8)
        wait_for(lambda: metric(served, "outcrop_body_held_bytes") == 0)


def leave_unread(served: ServedProcess, stack: contextlib.ExitStack, count: int) -> None:
    for _ in range(count):
        connection = stack.enter_context(connect(served))
        connection.sendall(head("/score", len(UNREAD), JSON) + UNREAD)


@pytest.mark.slow
def test_responses_that_nobody_reads_are_counted_and_given_up(
    start: Callable[..., ServedProcess],
) -> None:
    served = start(OUTCROP_MAX_INFLIGHT_BYTES=str(BUDGET))
    with contextlib.ExitStack() as stack:
        leave_unread(served, stack, 100)
        wait_for(lambda: metric(served, "outcrop_body_held_bytes") > BUDGET)
        answer = httpx2.post(f"{served.url}/score", content=UNREAD, headers=JSON, timeout=60)
        assert_error(answer, 429, "bytes of requests and responses")
        wait_for(lambda: metric(served, "outcrop_work_requests") == 0)
        assert metric(served, "outcrop_requests_in_flight") > 4
        assert metric(served, "outcrop_body_held_bytes") < BUDGET + 30 * MIB

        # The request for the metrics is itself in flight.
        wait_for(lambda: metric(served, "outcrop_requests_in_flight") == 1)
        assert metric(served, "outcrop_body_held_bytes") < MIB
        assert metric(served, 'outcrop_requests_total{code="499",route="/score"}') > 4
        assert "was not read in time" in served.log.read_text()
    answer = httpx2.post(f"{served.url}/score", content=UNREAD, headers=JSON, timeout=60)
    assert answer.is_success
    assert len(json.loads(answer.content)["scores"]) == 1000


@pytest.mark.slow
def test_the_process_ends_though_nobody_reads_its_responses(
    start: Callable[..., ServedProcess],
) -> None:
    served = start()
    with contextlib.ExitStack() as stack:
        leave_unread(served, stack, 60)
        wait_for(lambda: metric(served, "outcrop_requests_in_flight") > 30)
        begun = time.monotonic()
        served.process.terminate()
        served.process.wait(timeout=70)
        assert time.monotonic() - begun < 70
    assert '"message": "stopped"' in served.log.read_text()
