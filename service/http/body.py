"""Body: a request's bytes, read within limits.

What can be rejected is rejected before it is read: first by the HTTP headers, then by the JSON
header of a binary body, last by counting. Bytes count against the server's budget from the moment
they arrive until the work on them is over, so a client must not keep them waiting for the rest.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from outcrop.wire import HEADER_LENGTH

from .budget import Budget, Upload
from .errors import ClientDisconnected, Problem

JSON = "application/json"
BINARY = "application/octet-stream"
MAX_HEADER_BYTES = 64 * 2**10
"""Maximum length of the JSON header of a binary body."""
PROGRESS_BYTES = 64 * 2**10
"""What must arrive of a body in `PROGRESS_SECONDS`, unless it is complete."""
PROGRESS_SECONDS = 10.0

# Tensors that follow the JSON header at a multiple of their item size need no copy.
_ALIGNMENT = 64
_FIRST_CAPACITY = 64 * 2**10


@dataclass(frozen=True)
class BodyLimits:
    """Maximum sizes of bodies, bytes."""

    json_bytes: int
    binary_bytes: int


@dataclass(frozen=True)
class BodyHeaders:
    """What the HTTP headers say of a body.

    Attributes
    ----------
    media_type : str
    header_length : int or None
        Length of the JSON header of a binary body.
    length : int or None
        None where the body comes in chunks.
    limit : int
        Maximum length of such a body.
    """

    media_type: str
    header_length: int | None
    length: int | None
    limit: int


def parse_headers(headers: Headers, accepts: tuple[str, ...], limits: BodyLimits) -> BodyHeaders:
    """Read and check the HTTP headers that describe a body.

    Raises
    ------
    Problem
        415 for a content type or encoding that is not accepted, 413 for a body that is too
        long, 400 for an impossible header length.
    """
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise Problem(
            415, f"Content-Encoding is {encoding!r}; send the body as it is", reason="media_type"
        )

    lengths = headers.getlist(HEADER_LENGTH)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type and BINARY in accepts:
        # Triton's own client sends no Content-Type.
        media_type = BINARY if lengths else JSON
    if media_type not in accepts:
        raise Problem(
            415,
            f"Content-Type is {headers.get('content-type', '')!r}; send {' or '.join(accepts)}",
            reason="media_type",
        )

    limit = limits.binary_bytes if media_type == BINARY else limits.json_bytes
    length = int(headers["content-length"]) if "content-length" in headers else None
    if length is not None and length > limit:
        raise _too_large(f"Content-Length is {length}", media_type, limit)
    if media_type == JSON:
        _check_no_header_length(lengths)
        return BodyHeaders(media_type, None, length, limit)
    return BodyHeaders(media_type, _header_length(lengths, length), length, limit)


def _check_no_header_length(lengths: list[str]) -> None:
    if lengths:
        raise Problem(
            400,
            f"{HEADER_LENGTH} is {lengths[0]!r} with Content-Type {JSON}; send {BINARY} where "
            "bytes follow the JSON, or leave the header out",
            reason="malformed",
        )


def _header_length(lengths: list[str], length: int | None) -> int:
    text = ", ".join(lengths)
    if not (text.isascii() and text.isdigit() and len(text) < len(str(2**63))):
        raise Problem(
            400,
            f"{HEADER_LENGTH} is {text!r}; send the length in bytes of the JSON header",
            reason="malformed",
        )

    header_length = int(text)
    if header_length > MAX_HEADER_BYTES:
        raise Problem(
            413,
            f"{HEADER_LENGTH} is {header_length}, more than {MAX_HEADER_BYTES}; send tensors as "
            f"binary data, or all of the request as {JSON}",
            reason="too_large",
        )
    if length is not None and header_length > length:
        raise Problem(
            400,
            f"{HEADER_LENGTH} is {header_length}, but the body has {length} bytes",
            reason="malformed",
        )
    return header_length


def _too_large(found: str, media_type: str, limit: int) -> Problem:
    remedy = "send fewer spectra at a time" + (", or binary tensors" * (media_type == JSON))
    return Problem(
        413,
        f"{found}; at most {limit} bytes of {media_type} are read: {remedy}",
        reason="too_large",
    )


class Body:
    """A body while it arrives, and afterwards.

    Parameters
    ----------
    headers : BodyHeaders
    budget : Budget
        Charged for the bytes that have arrived, until `release`.

    Attributes
    ----------
    size : int
        Bytes that have arrived.
    """

    def __init__(self, headers: BodyHeaders, budget: Budget) -> None:
        self.headers = headers
        self.size = 0
        self._budget = budget
        # The machine gives memory to an array only when it is written to: a client that
        # announces 80 MiB and sends nothing costs nothing.
        self._store = self._aligned(min(headers.length or _FIRST_CAPACITY, headers.limit))

    def _aligned(self, capacity: int) -> NDArray[np.uint8]:
        store = np.empty(capacity + _ALIGNMENT, np.uint8)
        tensors = store.__array_interface__["data"][0] + (self.headers.header_length or 0)
        skip = -tensors % _ALIGNMENT
        return store[skip : skip + capacity]

    @property
    def data(self) -> memoryview:
        """The bytes so far; writable, and aligned where the JSON header ends."""
        return self._store[: self.size].data

    def append(self, chunk: bytes) -> None:
        """Add bytes that have arrived.

        Raises
        ------
        Problem
            413 beyond the limit, 429 beyond the server's budget.
        """
        if not chunk:
            return

        end = self.size + len(chunk)
        if end > self.headers.limit:
            raise _too_large("the body goes on", self.headers.media_type, self.headers.limit)
        self._budget.take(len(chunk))

        if end > len(self._store):
            store = self._aligned(min(max(end, 2 * len(self._store)), self.headers.limit))
            store[: self.size] = self._store[: self.size]
            self._store = store
        self._store[self.size : end] = np.frombuffer(chunk, np.uint8)
        self.size = end

    def release(self) -> None:
        """Free the memory; `data` must not be used any more."""
        self._budget.give(self.size)
        self.size = 0
        self._store = np.empty(0, np.uint8)


async def read(
    headers: BodyHeaders,
    receive: Receive,
    budget: Budget,
    *,
    seconds: float,
    check_header: Callable[[bytes], int],
) -> Body:
    """Read a body.

    Parameters
    ----------
    headers : BodyHeaders
    receive : ASGI receive
    budget : Budget
    seconds : float
        Time until the body must be complete.
    check_header : callable
        Given the JSON header of a binary body, returns how many bytes must follow it.

    Raises
    ------
    Problem
        408, 413, 429, or 400 where the body is not as long as its JSON header says.
    ClientDisconnected
    """
    body = Body(headers, budget)
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout(min(seconds, PROGRESS_SECONDS)) as limit:
            with budget.uploading(lambda: _expire(limit)) as upload:
                await _fill(body, _Progress(receive, upload, limit, deadline), check_header)
    except TimeoutError:
        size = body.size
        body.release()
        raise Problem(
            408,
            f"only {size} bytes of the body arrived before the deadline, or fewer than "
            f"{PROGRESS_BYTES} in {PROGRESS_SECONDS:g} s; send fewer spectra at a time",
            reason="slow_body",
        ) from None
    except BaseException:
        body.release()
        raise
    return body


def _expire(limit: asyncio.Timeout) -> None:
    if not limit.expired():
        limit.reschedule(0.0)


class _Progress:
    """Receives the parts of a body; each `PROGRESS_BYTES` of it give time for the next."""

    def __init__(
        self, receive: Receive, upload: Upload, limit: asyncio.Timeout, deadline: float
    ) -> None:
        self._receive = receive
        self._upload = upload
        self._limit = limit
        self._deadline = deadline
        self._size = 0

    async def __call__(self) -> Message:
        """Receive the next message of ASGI."""
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size >= PROGRESS_BYTES:
            self._size = 0
            self._upload.progressed = time.monotonic()
            now = asyncio.get_running_loop().time()
            self._limit.reschedule(min(self._deadline, now + PROGRESS_SECONDS))
        return message


async def _fill(body: Body, receive: Receive, check_header: Callable[[bytes], int]) -> None:
    header_length = body.headers.header_length
    expected = math.inf
    more = True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        body.append(message.get("body", b""))
        more = message.get("more_body", False)

        # The rest is read only where it can have the right length.
        if header_length is not None and expected == math.inf and body.size >= header_length:
            expected = header_length + check_header(bytes(body.data[:header_length]))
            _check_expected(body.headers, expected)
        if body.size > expected:
            raise _wrong_length("goes on", expected)

    if header_length is not None and body.size != expected:
        raise _wrong_length(f"ends after {body.size} bytes", expected)


def _check_expected(headers: BodyHeaders, expected: int) -> None:
    if headers.length is not None and headers.length != expected:
        raise _wrong_length(f"has {headers.length} bytes", expected)
    if expected > headers.limit:
        raise _too_large(f"the tensors end at {expected}", BINARY, headers.limit)


def _wrong_length(found: str, expected: float) -> Problem:
    announced = "more" if expected == math.inf else str(expected)
    return Problem(
        400,
        f"the body {found}, its JSON header and binary_data_size announce {announced}",
        reason="malformed",
    )
