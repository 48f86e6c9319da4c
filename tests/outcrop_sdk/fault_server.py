"""An HTTP server that answers without a model, and injects the faults that a test lists."""

import contextlib
import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from outcrop.explanation_json import encode_explanations
from outcrop.wire import HEADER_LENGTH, decode_request, encode_response
from tests.outcrop_sdk.loopback_server import LoopbackServer
from tests.outcrop_sdk.sample import some_explanations, some_model, some_scores

Fault = Callable[[BaseHTTPRequestHandler, bytes], bool]
"""Called with a request and its body; True where it has answered, or broken, the request."""


class FaultInjectingServer(LoopbackServer):
    """A service on a loopback port, which first injects faults; a context manager.

    Parameters
    ----------
    port : int
        0 for any free port.

    Attributes
    ----------
    model : Model
        The served one.
    faults : list of Fault
        One for each request, in turn.
    paths, request_ids, tokens, sizes, explained : list
        Of the requests that arrived; sizes in spectra, of those that were scored, and explained.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(_handler(self), port)
        self.model = some_model()
        self.faults: list[Fault] = []
        self.paths: list[str] = []
        self.request_ids: list[str | None] = []
        self.tokens: list[str | None] = []
        self.sizes: list[int] = []
        self.explained: list[int] = []

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.paths.append(handler.path)
        self.request_ids.append(handler.headers["X-Request-ID"])
        self.tokens.append(handler.headers["Authorization"])
        if self.faults and self.faults.pop(0)(handler, body):
            return

        if handler.path == "/readyz":
            reply(handler, 200, b"{}")
        elif handler.path == "/model":
            reply(handler, 200, json.dumps(self.model.to_json()).encode())
        elif handler.path == "/v2/models/outcrop/infer":
            request = decode_request(body, int(handler.headers[HEADER_LENGTH]))
            self.sizes.append(len(request.spectra))
            scores = some_scores(request.spectra, request.reconstruction, self.model.identity)
            headers, content = encode_response(scores, request)
            reply(handler, 200, content, **headers)
        elif handler.path == "/explain":
            request = decode_request(body, int(handler.headers[HEADER_LENGTH]))
            self.explained.append(len(request.spectra))
            explanations = some_explanations(request.spectra, self.model.identity)
            reply(handler, 200, encode_explanations(explanations, self.model.sample))
        else:
            reply(handler, 404, b'{"error": "no such path"}')

    def hang(self, handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        """A fault: never answer."""
        return self.closing.wait(20)


def _handler(server: FaultInjectingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

        def answer(self, body: bytes) -> None:
            # Some tests have a client that gives up.
            with contextlib.suppress(ConnectionError):
                server.answer(self, body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the tests' output clean."""

    return Handler


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> bool:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    return True


def no_fault(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Answer as usual."""
    return False


def answering(body: bytes, **headers: str) -> Fault:
    """Answer with status 200 and this content."""
    return lambda handler, _: reply(handler, 200, body, **headers)


def failing(status: int, body: bytes = b'{"error": "busy"}', **headers: str) -> Fault:
    """Answer with an error status."""
    return lambda handler, _: reply(handler, status, body, **headers)


def hang_up(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Break the connection."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True
