"""A service that speaks the protocol over HTTP without a model behind it."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from outcrop import Model
from outcrop.wire import HEADER_LENGTH, decode_request, encode_response
from tests.outcrop_sdk.sample import some_model, some_scores

Script = Callable[[BaseHTTPRequestHandler, bytes], bool]


@dataclass
class Service:
    """A service on a loopback port: speaks the protocol, and first plays what a test scripts.

    Attributes
    ----------
    url : str
    script : list
        Consulted once per request, in turn; True means that it answered.
    paths, request_ids, tokens, sizes : list
        What arrived.
    closing : Event
        Set when the test is over: scripts that never answer wait for it.
    """

    url: str = ""
    model: Model = field(default_factory=some_model)
    script: list[Script] = field(default_factory=list[Script])
    paths: list[str] = field(default_factory=list[str])
    request_ids: list[str | None] = field(default_factory=list[str | None])
    tokens: list[str | None] = field(default_factory=list[str | None])
    sizes: list[int] = field(default_factory=list[int])
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.paths.append(handler.path)
        self.request_ids.append(handler.headers["X-Request-ID"])
        self.tokens.append(handler.headers["Authorization"])
        if self.script and self.script.pop(0)(handler, body):
            return
        if handler.path == "/readyz":
            reply(handler, 200, b"{}")
        elif handler.path == "/model":
            reply(handler, 200, json.dumps(self.model.to_json()).encode())
        elif handler.path == "/v2/models/outcrop/infer":
            request = decode_request(body, int(handler.headers[HEADER_LENGTH]))
            self.sizes.append(len(request.spectra))
            scores = some_scores(request.spectra, request.reconstruction)
            headers, content = encode_response(scores, request, "outcrop", self.model.version)
            reply(handler, 200, content, **headers)
        else:
            reply(handler, 404, b'{"error": "no such path"}')


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> bool:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    return True


def failing(status: int, body: bytes = b'{"error": "busy"}', **headers: str) -> Script:
    return lambda handler, _: reply(handler, status, body, **headers)
