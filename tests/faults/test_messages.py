"""Bytes that are no message are rejected in one shape and do not harm the server."""

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

from tests.service.conftest import ServedProcess
from tests.service.helpers import INFER

LENGTH = "Inference-Header-Content-Length"
BINARY = {"Content-Type": "application/octet-stream"}
Message = tuple[dict[str, str], bytes]


class Connection:
    """A connection that stays open as long as the server keeps it open."""

    def __init__(self, served: ServedProcess) -> None:
        host, _, port = served.url.removeprefix("http://").partition(":")
        self.address = host, int(port)
        self.connection = http.client.HTTPConnection(*self.address)

    def post(self, body: bytes, headers: dict[str, str], path: str = INFER) -> tuple[int, bytes]:
        self.connection.request("POST", path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def rejected(self, body: bytes, headers: dict[str, str], path: str = INFER) -> None:
        """Assert that a body is rejected in the one shape."""
        status, content = self.post(body, headers, path)
        assert status == 400, content
        error = json.loads(content)
        assert sorted(error) == ["error", "request_id"]
        assert re.fullmatch(r"[0-9a-f]{32}", error["request_id"])

    def raw(self, content: bytes) -> bytes:
        """Send bytes on a connection of their own, hang up, and return what came back."""
        with (
            socket.create_connection(self.address) as connection,
            contextlib.suppress(ConnectionError),
        ):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        return b""


@contextmanager
def unharmed(served: ServedProcess, message: Message) -> Iterator[Connection]:
    """Yield a connection; assert that afterwards the server answers a message as before."""
    headers, body = message
    connection = Connection(served)
    try:
        before = connection.post(body, headers)
        assert before[0] == 200
        yield connection
        assert connection.post(body, headers) == before
        assert '"code": 5' not in served.log.read_text()
    finally:
        connection.connection.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_truncation_of_a_message_is_rejected(served: ServedProcess, message: Message) -> None:
    headers, body = message
    with unharmed(served, message) as connection:
        for length in range(len(body)):
            connection.rejected(body[:length], headers)


def test_a_message_that_breaks_off_anywhere_does_no_harm(
    served: ServedProcess, message: Message
) -> None:
    headers, body = message
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    whole = (
        f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    )
    content = whole.encode() + body
    with unharmed(served, message) as connection:
        for length in (*range(0, 1500, 11), *range(1500, len(content), 499)):
            assert b" 200 OK" not in connection.raw(content[:length])


def test_random_bytes_in_place_of_http_do_no_harm(served: ServedProcess, message: Message) -> None:
    with unharmed(served, message) as connection:

        @given(st.binary(min_size=1, max_size=2000))
        @settings(deadline=None, max_examples=200)
        def try_it(content: bytes) -> None:
            answer = connection.raw(content)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer

        try_it()


def test_random_bytes_in_place_of_a_message_are_rejected(
    served: ServedProcess, message: Message
) -> None:
    with unharmed(served, message) as connection:

        @given(st.binary(max_size=2000), st.integers(0, 2000))
        @settings(deadline=None, max_examples=300)
        def try_it(body: bytes, length: int) -> None:
            connection.rejected(body, BINARY | {LENGTH: str(length)})
            connection.rejected(body, {"Content-Type": "application/json"})

        try_it()


SURROGATES = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3)
HUGE = st.integers(4000, 6000).map(lambda digits: "9" * digits)
PLACES = [
    (INFER, '{"inputs": [{"name": %s, "shape": [1], "datatype": "FP64", "data": [0]}]}'),
    (INFER, '{"inputs": [{"name": "z", "shape": [%s], "datatype": "FP64", "data": [0]}]}'),
    (INFER, '{"inputs": [{"name": "z", "shape": [1], "datatype": %s, "data": [0]}]}'),
    (INFER, '{"inputs": [{"name": "z", "shape": [1], "datatype": "FP64", "data": [%s]}]}'),
    (
        INFER,
        '{"inputs": [{"name": "z", "shape": [1], "datatype": "FP64", '
        '"parameters": {"binary_data_size": %s}}]}',
    ),
    (INFER, '{"id": %s, "inputs": []}'),
    (INFER, '{"parameters": {"any": %s}, "inputs": []}'),
    (INFER, '{"parameters": {"binary_data_output": %s}, "inputs": []}'),
    (INFER, '{"outputs": [{"name": %s}], "inputs": []}'),
    (INFER, "{%s: 0}"),
    ("/score", '{"spectra": [{"z": %s}]}'),
    ("/score", '{"spectra": [{"z": 0, "targetid": %s}]}'),
    ("/score", '{"spectra": [{"z": 0, "wavelength": [%s], "flux": [0], "ivar": [0]}]}'),
    ("/score", '{"spectra": [{%s: 0}]}'),
]


def test_strings_that_are_no_text_and_endless_numbers_are_rejected(
    served: ServedProcess, message: Message
) -> None:
    before = len(served.log.read_text())
    with unharmed(served, message) as connection:

        @given(
            st.sampled_from(PLACES),
            SURROGATES.map(json.dumps) | SURROGATES.map(lambda s: f'"{s}"') | HUGE,
            st.booleans(),
        )
        @settings(deadline=None, max_examples=300)
        def try_it(place: tuple[str, str], value: str, binary: bool) -> None:
            path, template = place
            body = (template % value).encode(errors="surrogatepass")
            headers = {"Content-Type": "application/json"}
            if binary and path == INFER:
                headers = BINARY | {LENGTH: str(len(body))}
            connection.rejected(body, headers, path)

        try_it()
        assert '"code": 499' not in served.log.read_text()[before:]
