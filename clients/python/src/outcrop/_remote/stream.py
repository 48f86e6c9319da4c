"""Remote stream: a remote file read forwards, in few and large requests.

Each request reads some blocks more than is needed: they hold the header of the next HDU, which
says how much of the file is needed next.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

from .._constants import REMOTE_AHEAD, REMOTE_FIRST, REMOTE_LARGEST, REMOTE_PIECE
from ..errors import InputError, StatusError
from .address import Address
from .source import RANGE_REFUSED, OriginChanged, Part, Version


class _Parts(Protocol):
    address: Address

    def get(self, start: int, stop: int) -> Part: ...


class RemoteStream:
    """A remote file; reading begins at its start.

    Parameters
    ----------
    parts : Requests
    first : int
        Bytes of the first request.
    whole : bool
        Read also what is skipped, for the checksum of all bytes.
    progress : function, optional
        Called with the bytes of each request.

    Attributes
    ----------
    version : Version
        Of the file, from the first request on.
    requests, received : int
        Counts of requests and bytes.
    """

    def __init__(
        self,
        parts: _Parts,
        first: int = REMOTE_FIRST,
        whole: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self.address = parts.address.text
        self._parts = parts
        self._progress = progress
        self._digest = hashlib.sha256() if whole else None
        self.requests = self.received = 0

        part = parts.get(0, first)
        self.version: Version = part.version
        if self.size > REMOTE_LARGEST:
            raise InputError(
                f"{self.address} has {self.size} bytes, and more than {REMOTE_LARGEST} are not "
                "fetched; is it a coadd?"
            )
        self._at = self._start = 0
        self._content = memoryview(b"")
        self._add(part)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.version.size

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal; reads the rest of it. Only of a stream that is `whole`."""
        if self._digest is None:
            raise ValueError("the stream does not read the whole file")
        self.seek(self.size)
        return self._digest.hexdigest()

    def seek(self, position: int) -> None:
        """Go on at a later byte, or at one that was read last."""
        if self._digest is not None:
            for _ in self.pieces(position):
                pass
        self._at = position

    def read(self, length: int) -> bytes:
        """Return the next bytes; fewer at the end of the file."""
        stop = min(self._at + length, self.size)
        if stop <= self._at:
            return b""
        while self._end < stop or not self._start <= self._at <= self._end:
            self._fetch(max(stop, self._at + REMOTE_AHEAD))
        found = bytes(self._content[self._at - self._start : stop - self._start])
        self._at = stop
        return found

    def pieces(self, stop: int) -> Iterator[memoryview]:
        """Yield the bytes from here to `stop`, or to the end of the file."""
        stop = min(stop, self.size)
        while self._at < stop:
            if not self._start <= self._at < self._end:
                self._fetch(stop + REMOTE_AHEAD)
            piece = self._content[self._at - self._start : stop - self._start]
            self._at += len(piece)
            yield piece

    @property
    def _end(self) -> int:
        return self._start + len(self._content)

    def _fetch(self, stop: int) -> None:
        """Read on from here, or from the end of what is there already."""
        if not self._start <= self._at <= self._end:
            self._start, self._content = self._at, memoryview(b"")
        else:
            self._content = self._content[self._at - self._start :]
            self._start = self._at

        start = self._end
        try:
            part = self._parts.get(start, min(stop, start + REMOTE_PIECE, self.size))
        except StatusError as error:
            if error.status == RANGE_REFUSED:
                raise OriginChanged(f"{self.address} is shorter than it was") from error
            raise
        if part.version != self.version:
            raise OriginChanged(f"{self.address} changed while it was fetched")
        self._add(part)

    def _add(self, part: Part) -> None:
        self._content = memoryview(bytes(self._content) + part.content)
        self.requests += 1
        self.received += len(part.content)
        if self._digest is not None:
            self._digest.update(part.content)
        if self._progress is not None:
            self._progress(len(part.content))
