"""Bytes that are no message are refused in one shape, and the server is none the worse."""

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.conftest import Served
from tests.service.helpers import INFER

LENGTH = "Inference-Header-Content-Length"
BINARY = {"Content-Type": "application/octet-stream"}
Message = tuple[dict[str, str], bytes]


class Line:
    """A connection that is kept as long as the server keeps it."""

    def __init__(self, served: Served) -> None:
        host, _, port = served.url.removeprefix("http://").partition(":")
        self.address = host, int(port)
        self.connection = http.client.HTTPConnection(*self.address)

    def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self.connection.request("POST", INFER, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def refused(self, body: bytes, headers: dict[str, str]) -> None:
        """Assert that a body is refused in the one shape."""
        status, content = self.post(body, headers)
        assert status == 400, content
        error = json.loads(content)
        assert sorted(error) == ["error", "request_id"]
        assert re.fullmatch(r"[0-9a-f]{32}", error["request_id"])

    def raw(self, content: bytes) -> bytes:
        """Send bytes on a connection of their own, hang up, and return what came back."""
        with socket.create_connection(self.address) as line, contextlib.suppress(ConnectionError):
            line.sendall(content)
            line.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: line.recv(65536), b""))
        return b""


@contextmanager
def unharmed(served: Served, message: Message) -> Iterator[Line]:
    """Yield a line; assert that the same process answers a message as before, without a 500."""
    headers, body = message
    line = Line(served)
    try:
        before = line.post(body, headers)
        assert before[0] == 200
        yield line
        assert line.post(body, headers) == before
        assert '"code": 5' not in served.log.read_text()
    finally:
        line.connection.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_truncation_of_a_message_is_refused(served: Served, message: Message) -> None:
    headers, body = message
    with unharmed(served, message) as line:
        for length in range(len(body)):
            line.refused(body[:length], headers)


def test_a_message_that_breaks_off_wherever_harms_nothing(served: Served, message: Message) -> None:
    headers, body = message
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    whole = f"POST {INFER} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    content = whole.encode() + body
    with unharmed(served, message) as line:
        for length in (*range(0, 1500, 11), *range(1500, len(content), 499)):
            assert b" 200 OK" not in line.raw(content[:length])


def test_random_bytes_for_http_harm_nothing(served: Served, message: Message) -> None:
    with unharmed(served, message) as line:

        @given(st.binary(min_size=1, max_size=2000))
        @settings(deadline=None, max_examples=200)
        def try_it(content: bytes) -> None:
            answer = line.raw(content)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer

        try_it()


def test_random_bytes_for_a_message_are_refused(served: Served, message: Message) -> None:
    with unharmed(served, message) as line:

        @given(st.binary(max_size=2000), st.integers(0, 2000))
        @settings(deadline=None, max_examples=300)
        def try_it(body: bytes, length: int) -> None:
            line.refused(body, BINARY | {LENGTH: str(length)})
            line.refused(body, {"Content-Type": "application/json"})

        try_it()
