"""Remote cache: copies of remote files in a folder of limited size."""

import logging
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import tenacity

from ._constants import (
    REMOTE_AHEAD,
    REMOTE_ANEW,
    REMOTE_CONNECTIONS,
    REMOTE_FIRST,
    REMOTE_GIB,
)
from ._remote.checksum_file import announced_sha256
from ._remote.entry import CacheEntry
from ._remote.locks import Lock
from ._remote.requests import Requests
from ._remote.room import Room
from ._remote.source import OriginChanged, open_source
from ._remote.stream import RemoteStream
from .errors import InputError
from .fingerprint import FileFingerprint

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteCache:
    """Copies of remote files, for several processes of a machine.

    The least recently used copies are deleted where others need their room; never those that a
    process is using.

    Attributes
    ----------
    folder : Path
        On a disk of this machine; made where it is missing. By default OUTCROP_REMOTE_CACHE, or
        ``outcrop/remote`` in XDG_CACHE_HOME, or in ``~/.cache``.
    size : int
        Bytes that all copies together may have. By default OUTCROP_REMOTE_GIB, or 20 GiB.
    connections : int
        Requests at a time, of all processes with this folder. By default
        OUTCROP_REMOTE_CONNECTIONS, or 4.

    Raises
    ------
    InputError
        Where a setting is not a number above 0.
    """

    folder: Path
    size: int
    connections: int = REMOTE_CONNECTIONS

    def __post_init__(self) -> None:
        if self.size < 1 or self.connections < 1:
            raise InputError(
                f"a cache of {self.size} bytes with {self.connections} connections cannot be used; "
                "both must be 1 or more"
            )

    @staticmethod
    def of_environment() -> "RemoteCache":
        """Return the cache that the environment names."""
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = os.environ.get("OUTCROP_REMOTE_CACHE") or f"{home}/outcrop/remote"
        return RemoteCache(
            Path(folder).expanduser(),
            int(_number("OUTCROP_REMOTE_GIB", REMOTE_GIB) * 2**30),
            int(_number("OUTCROP_REMOTE_CONNECTIONS", REMOTE_CONNECTIONS)),
        )

    def fingerprint(self, address: str) -> FileFingerprint:
        """Return the fingerprint of a remote file by one request, as `fingerprint`."""
        version = self._requests(address).get(0, REMOTE_AHEAD).version
        return FileFingerprint(address, version.size, version.mtime, version.etag)

    @contextmanager
    def copy(
        self, address: str, sha256: bool = False, progress: Callable[[int], object] | None = None
    ) -> Generator[Path]:
        """Hold a copy of a remote file, as `outcrop.fetch`."""
        requests = self._requests(address)
        fetch = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(OriginChanged),
            stop=tenacity.stop_after_attempt(REMOTE_ANEW),
            before_sleep=_report_change,
            retry_error_callback=_raise_change,
        )
        copy, lock = fetch(lambda: self._hold(requests, sha256, progress))
        try:
            yield copy
        finally:
            lock.close()

    def _requests(self, address: str) -> Requests:
        return Requests(open_source(address), self.folder / "connections", self.connections)

    def _hold(
        self, requests: Requests, sha256: bool, progress: Callable[[int], object] | None
    ) -> tuple[Path, Lock]:
        """Return a copy of the present version, and the lock that keeps it."""
        room = Room(self.folder, self.size)
        known = CacheEntry.is_likely(room, requests.address.text)
        stream = RemoteStream(requests, REMOTE_AHEAD if known else REMOTE_FIRST, sha256, progress)
        expected = announced_sha256(requests) if sha256 else ""
        entry = CacheEntry.of(room, stream, expected)
        return entry.copy, entry.hold(stream)


def _report_change(state: tenacity.RetryCallState) -> None:
    logger.warning("%s; it is begun anew", state.outcome and state.outcome.exception())


def _raise_change(state: tenacity.RetryCallState) -> NoReturn:
    change = state.outcome.exception() if state.outcome else None
    raise InputError(f"{change}, {REMOTE_ANEW} times; try again later") from change


def _number(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise InputError(f"{name} is {text!r}; expected a number above 0")
    return value
