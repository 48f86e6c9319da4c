"""Network: each read and write of a blocking call ends at the call's deadline.

httpx2 limits the time of each single read and write, so that a server which sends a byte now and
then could hold a call for ever. Here what is left until the deadline limits each of them. (asyncio
cancels a whole call, and needs none of this.)
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import httpcore2
import httpx2

from .retries import Deadline

_PIECE: Final = 1 << 16  # bytes; so few that a send does not wait twice
_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def ending_at(deadline: Deadline) -> Generator[None]:
    """Let the reads and writes of this thread end at a deadline."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


def limit_time(client: httpx2.Client) -> None:
    """Make the connections of a client, through proxies too, obey `ending_at`."""
    # httpx2 has no parameter for the backend of its pools, which httpcore2 has.
    private = cast(Any, client)
    for transport in (private._transport, *private._mounts.values()):
        pool = getattr(transport, "_pool", None)
        if pool is not None:
            pool._network_backend = _Backend()


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return timeout
    if deadline.left <= 0:
        raise error("the deadline of the call is over")
    return deadline.left if timeout is None else min(timeout, deadline.left)


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(super().connect_unix_socket(path, left, socket_options))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        for start in range(0, len(view), _PIECE):
            piece = cast(bytes, view[start : start + _PIECE])
            self._stream.write(piece, _left(timeout, httpcore2.WriteTimeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()
