"""Connections are bounded in number, in the length of a head and in time, whoever opens them."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from service.application import Application
from service.http.connection import HEAD_SECONDS, MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from tests.service.helpers import JSON, encoded, listening, make_spectra, score_request, wait_for

pytestmark = pytest.mark.long

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"


@dataclass(frozen=True)
class Server:
    application: Application
    port: int

    def counted(self, code: int) -> float:
        labels = {"route": "unknown", "code": str(code)}
        sample = self.application.metrics.registry.get_sample_value
        return sample("outcrop_requests_total", labels) or 0.0

    def rejected(self, reason: str) -> float:
        sample = self.application.metrics.registry.get_sample_value
        return sample("outcrop_rejected_total", {"reason": reason}) or 0.0


@pytest.fixture
def server(make_application: Callable[..., Application]) -> Iterator[Server]:
    application = make_application()
    with listening(application) as port:
        yield Server(application, port)


def answers(connection: socket.socket) -> bytes:
    """Return what comes back until the server closes."""
    connection.settimeout(60)
    parts: list[bytes] = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def exchange(server: Server, *parts: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        return answers(connection)


def assert_refused(answer: bytes, status: int, *words: str) -> None:
    """Assert that the only answer is an error in the one shape, and that it is the last."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:500]
    assert b"connection: close" in head
    content = json.loads(body)
    assert sorted(content) == ["error", "request_id"]
    assert b"x-request-id: " + content["request_id"].encode() in head
    for word in words:
        assert word in content["error"]


LONG = b"a" * (MAX_HEAD_BYTES + 1)
LONG_HEADS = {
    "one header": GET + b"a: " + LONG + b"\r\n\r\n",
    "a name": GET + LONG + b": a\r\n\r\n",
    "a path": b"GET /" + LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "headers": GET + (b"a: " + b"b" * 7000 + b"\r\n") * 10 + b"\r\n",
    "a name without end": GET + LONG,
    "a value without end": GET + b"a: " + LONG,
    "a path without end": b"GET /" + LONG,
    "headers without end": GET + (b"a: " + b"b" * 7000 + b"\r\n") * 10,
}


@pytest.mark.parametrize("kind", LONG_HEADS)
@pytest.mark.parametrize("size", [2**20, 1000])
def test_a_long_head_is_refused_however_it_arrives(server: Server, kind: str, size: int) -> None:
    head = LONG_HEADS[kind]
    answer = exchange(server, *(head[i : i + size] for i in range(0, len(head), size)))
    assert_refused(answer, 431, str(MAX_HEAD_BYTES))
    assert server.counted(431) == server.rejected("too_large") == 1


def test_a_head_of_just_the_allowed_length_is_accepted(server: Server) -> None:
    head = GET + b"Connection: close\r\na: "
    answer = exchange(server, head + b"b" * (MAX_HEAD_BYTES - len(head) - 4) + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_headers_are_counted(server: Server) -> None:
    end = b"Connection: close\r\n\r\n"
    answer = exchange(server, GET + b"a: b\r\n" * (MAX_HEADERS - 2) + end)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert_refused(exchange(server, GET + b"a: b\r\n" * (MAX_HEADERS - 1) + end), 431, "headers")
    assert_refused(exchange(server, GET + b"a: b\r\n" * (MAX_HEADERS + 1)), 431, "headers")


@pytest.mark.parametrize("trailer", [b"a: " + 8 * LONG, 8 * LONG, b"a: b\r\n" * (MAX_HEADERS + 1)])
def test_trailers_without_end_close_the_connection(server: Server, trailer: bytes) -> None:
    head = CHUNKED + b"Content-Type: application/json\r\n\r\n"
    assert exchange(server, head + b"1\r\n{\r\n0\r\n", trailer) == b""


def test_a_length_of_a_chunk_without_end_closes_the_connection(server: Server) -> None:
    head = CHUNKED + b"Content-Type: application/json\r\n\r\n"
    assert exchange(server, head + b"1;a=" + 8 * LONG) == b""


def test_a_body_may_come_in_many_chunks(server: Server) -> None:
    body = encoded(score_request(make_spectra(1, ("b",)), reconstruction=False))
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    assert len(chunks) - len(body) > 2 * MAX_HEAD_BYTES
    head = CHUNKED + b"Content-Type: application/json\r\nConnection: close\r\n\r\n"
    answer = exchange(server, head + chunks + b"0\r\nDigest: none\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_bytes_that_are_not_http_are_refused_in_the_one_shape(server: Server) -> None:
    for content in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"x" * 70000):
        assert_refused(exchange(server, content), 400, "HTTP/1.1")
    assert server.counted(400) == server.rejected("malformed") == 3


def test_a_head_must_be_complete_in_time(server: Server) -> None:
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        silent, half, blank, second = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(4)
        ]
        half.sendall(GET)
        second.sendall(GET + b"\r\n")
        received = b""
        while not received.endswith(b'{"status":"alive"}'):
            received += second.recv(65536)
        second.sendall(GET)
        # Bytes that keep coming do not give more time.
        for _ in range(int(HEAD_SECONDS) - 2):
            time.sleep(1)
            half.sendall(b"a: b\r\n")
            second.sendall(b"a: b\r\n")
            blank.sendall(b"\r\n")
        assert_refused(answers(half), 408, "head")
        assert_refused(answers(second), 408, "head")
        assert answers(silent) == answers(blank) == b""
    assert HEAD_SECONDS - 1 < time.monotonic() - begun < HEAD_SECONDS + 20
    assert server.rejected("slow_head") == 2


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    paths = ["/livez", "/nowhere", "/readyz", "/model"]
    requests = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() for path in paths]
    answer = exchange(server, b"\r\n".join(requests) + b"Connection: close\r\n\r\n")
    found = [part.split()[0] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert found == [b"200", b"404", b"200", b"200"]


def test_more_pipelined_requests_than_allowed_close_the_connection(server: Server) -> None:
    answer = exchange(server, (GET + b"\r\n") * (MAX_PIPELINED + 2))
    assert answer == b""


def test_a_request_may_wait_for_100_continue(server: Server) -> None:
    body = encoded(score_request(make_spectra(1, ("b",)), reconstruction=False))
    fields = {**JSON, "Content-Length": str(len(body)), "Expect": "100-continue"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            f"POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n".encode()
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answers(connection).startswith(b"HTTP/1.1 200 OK")


def test_the_rest_of_a_body_that_was_answered_early_is_read_for_a_while_only(
    server: Server,
) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 404")
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - begun < 60:
                connection.sendall(b"x")
                time.sleep(0.5)
    assert time.monotonic() - begun < HEAD_SECONDS + 20


def test_a_response_that_nobody_reads_is_given_up(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    sample = server.application.metrics.registry.get_sample_value
    spectrum = {"z": 0.1, "wavelength": [3600.0], "flux": [1.0], "ivar": [1.0]}
    body = encoded({"spectra": [spectrum] * 1000})
    with socket.socket() as connection, socket.socket() as reader:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for each in (connection, reader):
            each.connect(("127.0.0.1", server.port))
            each.sendall(
                b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
        assert len(answers(reader)) > 3 * 2**20
        # The other stays in flight, and its bytes in the budget, until it is given up.
        wait_for(lambda: (sample("outcrop_body_held_bytes") or 0) > 3 * 2**20)
        assert sample("outcrop_requests_in_flight") == 1
        wait_for(lambda: sample("outcrop_requests_in_flight") == 0)
    assert sample("outcrop_body_held_bytes") == 0
    assert sample("outcrop_requests_total", {"route": "/score", "code": "499"}) == 1
    assert "a response was not read in time" in caplog.text
