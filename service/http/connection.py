"""Connection: the HTTP/1.1 connection of a client, within limits.

uvicorn's protocol and its parser bound neither a request's head nor the time that a client takes
to send it, or to read the response. Here they are bounded, before any token is asked for. A head
that is refused goes to the application as a request that holds the `Problem`, so that it is
answered, counted and logged as all others are.
"""

import asyncio
import functools
import logging
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .errors import REFUSAL, ClientDisconnected, Problem

MAX_HEAD_BYTES = 64 * 2**10
"""Maximum length of request line and headers; of trailers; of what stands between two chunks."""
MAX_HEADERS = 100
"""Maximum number of headers of a request, its trailers included."""
MAX_PIPELINED = 16
"""Requests that may wait for the responses to those before them on the same connection."""
HEAD_SECONDS = 10.0
"""Time for a head: the first from the connection on, later ones from their first byte on."""
PIECE_SECONDS = 10.0
"""Time in which a client must take one piece of a response."""
SEND_SECONDS = 60.0
"""Time in which a client must take all of a response."""
SHUTDOWN_SEND_SECONDS = 10.0
"""The same, once the server shuts down."""
MAX_CONNECTIONS = 500
"""Connections at one time, where the process may open as many descriptors."""

# Descriptors kept free for files, and for connections that are accepted before others are closed.
_SPARE_DESCRIPTORS = 16
_WARNING_SECONDS = 1.0
# Stands for a request that is refused; the application gets the problem with it.
_REFUSED_REQUEST = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
_log = logging.getLogger("service")


@functools.cache
def max_connections() -> int:
    """Return the number of connections that this process takes at one time."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    free = limit - len(list(Path("/dev/fd").iterdir())) - _SPARE_DESCRIPTORS
    return max(1, min(MAX_CONNECTIONS, free))


class _Timer:
    """Calls a function after a time, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
        self._loop = loop
        self._function = function
        self._handle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        """Whether it has been started, and neither stopped nor called its function."""
        return self._handle is not None

    def start(self, seconds: float) -> None:
        """Start, from now on."""
        self.stop()
        self._handle = self._loop.call_later(seconds, self._call)

    def stop(self) -> None:
        """Never call, unless it is started again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _call(self) -> None:
        self._handle = None
        self._function()


class _Evictions:
    """Logs that connections were closed to make room: one line a second, with their number."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count one."""
        if self._count == 0:
            loop.call_later(_WARNING_SECONDS, self._log)
        self._count += 1

    def _log(self) -> None:
        _log.warning(
            "connections without a request were closed, because this process takes no more",
            extra={"fields": {"closed": self._count, "max_connections": max_connections()}},
        )
        self._count = 0


_evictions = _Evictions()


class Connection(HttpToolsProtocol):
    """One connection, as uvicorn's servers make it.

    Attributes
    ----------
    idle_since : float or None
        On the clock of `time.monotonic`; None while a response is owed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._application = self.app
        self.app = self._run_application

        # Bytes other than the body's, since the last complete part of a message.
        self._framing = 0
        self._received = 0
        self._head_begun = False
        self._problem: Problem | None = None
        self._is_refused = False
        self._is_lost = False

        self.idle_since: float | None = time.monotonic()
        self._head = _Timer(self.loop, self._head_is_late)
        self._piece = _Timer(self.loop, self._response_is_unread)
        self._response = _Timer(self.loop, self._response_is_unread)
        self._send_seconds = SEND_SECONDS

    async def _run_application(self, scope: Any, receive: Any, send: Any) -> None:
        if self._problem is not None:
            scope["extensions"] = {REFUSAL: self._problem}

        async def send_or_raise(message: Any) -> None:
            # uvicorn's own returns as if the message had been sent.
            await send(message)
            if self._is_lost:
                raise ClientDisconnected

        await self._application(scope, receive, send_or_raise)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the first head; make room where there are too many connections."""
        super().connection_made(transport)
        # So that sending waits until the kernel has taken everything.
        transport.set_write_buffer_limits(high=0)
        self._head.start(HEAD_SECONDS)
        if len(self.connections) > max_connections():
            self._make_room()

    def _make_room(self) -> None:
        """Close the connection that has been idle longest; it may be this one."""
        alive = [
            each
            for each in self.connections
            if isinstance(each, Connection) and not each.transport.is_closing()
        ]
        if len(alive) > max_connections():
            idle = [(each.idle_since, each) for each in alive if each.idle_since is not None]
            _, longest = min(idle, key=lambda pair: pair[0])
            longest.transport.abort()
            _evictions.add(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        self._is_lost = True
        for timer in (self._head, self._piece, self._response):
            timer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes; refuse a message whose head, or whose trailers, go on for too long."""
        if self._is_refused:
            return
        self._framing += len(data)
        self._received = len(data)
        super().data_received(data)

        if self._is_refused:
            return
        if self._framing > MAX_HEAD_BYTES:
            self._refuse(_head_too_long())
        elif self.headers is not None and len(self.headers) > MAX_HEADERS:
            self._refuse(_too_many_headers())
        elif self.idle_since is not None and not self._head.runs:
            self._head.start(HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        super().on_message_begin()
        self._head_begun = True

    def on_headers_complete(self) -> None:
        """Have the request answered, unless its head is refused."""
        if not self._is_refused:
            self._problem = self._head_problem()
            if self._problem is not None:
                # It ends the parser's run; uvicorn then calls `send_400_response`.
                raise self._problem

        self._framing = 0
        self._head_begun = False
        self._head.stop()
        self.idle_since = None
        super().on_headers_complete()

    def _head_problem(self) -> Problem | None:
        """Return what is wrong with a complete head."""
        if len(self.headers) > MAX_HEADERS:
            return _too_many_headers()
        if max(self._framing, self._received) > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                return _head_too_long()
        if len(self.pipeline) >= MAX_PIPELINED:
            return Problem(
                400,
                f"{MAX_PIPELINED} requests wait for the response to an earlier one; wait for "
                "responses, or use more connections",
                reason="malformed",
            )
        return None

    def on_body(self, body: bytes) -> None:
        """Count a part of the body apart from the head and the trailers."""
        self._framing = max(0, self._framing - len(body))
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """Start to count again after the length of a chunk."""
        self._framing = 0

    def on_message_complete(self) -> None:
        """Start to count again."""
        self._framing = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that the parser does not accept."""
        self._refuse(
            self._problem
            or Problem(400, "these bytes are no HTTP/1.1 request; send one", reason="malformed")
        )

    def _refuse(self, problem: Problem) -> None:
        """Have the application answer with a problem, then close; read nothing more."""
        self._is_refused = True
        self._problem = problem
        self._head.stop()
        if self.idle_since is None:
            # In the middle of another response there is no place for this one.
            _log.warning("a connection was aborted: %s", problem)
            self.transport.abort()
            return

        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(_REFUSED_REQUEST)

    def _head_is_late(self) -> None:
        if not self._head_begun:
            self.transport.abort()
            return
        self._refuse(
            Problem(
                408,
                f"the head of the request was not complete after {HEAD_SECONDS:g} s; send request "
                "line and headers at once",
                reason="slow_head",
            )
        )

    def pause_writing(self) -> None:
        """Start the time in which the client must take what is sent."""
        super().pause_writing()
        self._piece.start(PIECE_SECONDS)
        if not self._response.runs:
            self._response.start(self._send_seconds)

    def resume_writing(self) -> None:
        """Stop the time for the piece that the kernel has just taken."""
        super().resume_writing()
        self._piece.stop()

    def _response_is_unread(self) -> None:
        _log.warning(
            "a response was not read in time; its connection was aborted",
            extra={"fields": {"client": self.client and self.client[0]}},
        )
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._response.stop()
        if not self.pipeline:
            self.idle_since = time.monotonic()
        super().on_response_complete()

    def shutdown(self) -> None:
        """Close the connection, or let the response that is owed be the last, and a quick one."""
        self._send_seconds = SHUTDOWN_SEND_SECONDS
        if self._response.runs:
            self._response.start(SHUTDOWN_SEND_SECONDS)
        super().shutdown()


def _head_too_long() -> Problem:
    return Problem(
        431,
        f"request line and headers, or trailers, have more than {MAX_HEAD_BYTES} bytes; send "
        "fewer or shorter ones",
        reason="too_large",
    )


def _too_many_headers() -> Problem:
    return Problem(
        431, f"the request has more than {MAX_HEADERS} headers; send fewer", reason="too_large"
    )
