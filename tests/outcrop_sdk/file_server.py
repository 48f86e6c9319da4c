"""A server of files with ranges, over HTTP or HTTPS, that injects the faults that a test lists."""

import contextlib
import email.utils
import hashlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.outcrop_sdk.loopback_server import LoopbackServer

FileFault = Callable[[BaseHTTPRequestHandler], bool]
"""Called with a request; True where it has answered, or broken, the request."""

MODIFIED = 1616500000
"""Time of all files, s since 1970."""


class FileServer(LoopbackServer):
    """A server on a loopback port; a context manager.

    Parameters
    ----------
    context : SSLContext, optional
        For HTTPS.

    Attributes
    ----------
    files : dict of str to bytes
        By path.
    faults : list of FileFault
        One for each request, in turn.
    ranges : list of tuple
        Path, first byte and last byte of each request that arrived; −1 where it has no range.
    most : int
        Requests that were in progress at a time.
    delay : float
        Seconds that each answer takes.
    on_connect : function
        Called with a request to be a proxy.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(_handler(self), context=context)
        self.files: dict[str, bytes] = {}
        self.faults: list[FileFault] = []
        self.ranges: list[tuple[str, int, int]] = []
        self.most = self._now = 0
        self.delay = 0.0
        self.on_connect: Callable[[BaseHTTPRequestHandler], None] | None = None
        self._count = threading.Lock()

    def add(self, path: str, content: bytes) -> str:
        """Serve a file; return its address."""
        self.files[path] = content
        return self.url + path

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._count:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(self.delay)
            self._answer(handler)
        finally:
            with self._count:
                self._now -= 1

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2])) if asked else (-1, -1)
        self.ranges.append((handler.path, first, last))
        if self.faults and self.faults.pop(0)(handler):
            return

        content = self.files.get(handler.path)
        if content is None:
            send(handler, 404, b"not here")
        elif not asked:
            send(handler, 200, content, **described(content))
        elif first >= len(content):
            send(handler, 416, b"", Content_Range=f"bytes */{len(content)}")
        else:
            send_part(handler, content, first, last)


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # Some tests have a client that gives up.
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                server.answer(self)

        def do_CONNECT(self) -> None:
            if server.on_connect is not None:
                server.on_connect(self)

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the tests' output clean."""

    return Handler


def described(content: bytes) -> dict[str, str]:
    """Return the headers that tell a file from its successor."""
    return {
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
        "Last_Modified": email.utils.formatdate(MODIFIED, usegmt=True),
    }


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> bool:
    handler.send_response(status)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
    return True


def send_part(
    handler: BaseHTTPRequestHandler, content: bytes, first: int, last: int, **headers: str
) -> bool:
    part = content[first : last + 1]
    spoken = {"Content_Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"}
    return send(handler, 206, part, **(described(content) | spoken | headers))


def works(handler: BaseHTTPRequestHandler) -> bool:
    """Answer as usual."""
    return False


def fails(status: int, **headers: str) -> FileFault:
    """Answer with an error status, or a redirect."""
    return lambda handler: send(handler, status, b"busy", **headers)


def answers(status: int, body: bytes, **headers: str) -> FileFault:
    """Answer with this content."""
    return lambda handler: send(handler, status, body, **headers)


def cuts(handler: BaseHTTPRequestHandler) -> bool:
    """Announce a part, send half of it and break the connection."""
    first, last = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
    handler.send_response(206)
    handler.send_header("Content-Length", str(last - first + 1))
    handler.send_header("Content-Range", f"bytes {first}-{last}/{1 << 40}")
    handler.end_headers()
    handler.wfile.write(bytes((last - first) // 2))
    handler.close_connection = True
    # Not of a TLS socket: its bytes would be lost.
    with contextlib.suppress(OSError):
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def endless(status: int, **headers: str) -> FileFault:
    """Send without end, in chunks."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        for name, value in ({"Transfer_Encoding": "chunked"} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        chunk = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
        while True:
            handler.wfile.write(chunk)

    return fault


def drips(closing: threading.Event) -> FileFault:
    """Announce a part, and send a byte of it now and then."""

    def fault(handler: BaseHTTPRequestHandler) -> bool:
        first, last = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
        handler.send_response(206)
        handler.send_header("Content-Length", str(last - first + 1))
        handler.send_header("Content-Range", f"bytes {first}-{last}/{1 << 40}")
        handler.end_headers()
        while not closing.wait(0.02):
            handler.wfile.write(b"x")
        return True

    return fault
