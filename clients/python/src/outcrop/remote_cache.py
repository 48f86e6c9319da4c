"""Remote cache: copies of remote files in a folder of limited size.

Each version of a file has a folder of its own, which holds the copy, its origin and a lock. Who
reads a copy shares the lock, who makes or deletes it holds it alone. So a copy is never replaced,
several processes fetch a file once, and what a process that was killed left is deleted by the next.
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import uuid
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

import tenacity

from ._constants import (
    REMOTE_AHEAD,
    REMOTE_ANEW,
    REMOTE_CONNECTIONS,
    REMOTE_GIB,
    REMOTE_UNPACKED,
)
from ._files import write_atomically
from ._remote.checksum_file import announced_sha256
from ._remote.fits_copy import copy_fits
from ._remote.locks import Lock, locked
from ._remote.requests import Requests
from ._remote.source import OriginChanged, open_source
from ._remote.stream import RemoteStream
from .errors import InputError
from .fingerprint import FileFingerprint, format_origin, origin_of

logger = logging.getLogger(__name__)

Progress = Callable[[int], object]

_GZIP: Final = b"\x1f\x8b"
_FOLDER: Final = re.compile(r"[0-9a-f]{32}")
_LOCK: Final = "lock"


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
        """Return the fingerprint of a remote file by one request, as `outcrop.remote.fingerprint`."""
        version = self._requests(address).get(0, REMOTE_AHEAD).version
        return FileFingerprint(address, version.size, version.mtime, version.etag)

    @contextmanager
    def copy(
        self, address: str, sha256: bool = False, progress: Progress | None = None
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
        self, requests: Requests, sha256: bool, progress: Progress | None
    ) -> tuple[Path, Lock]:
        """Return a copy of the present version, and the lock that keeps it."""
        stream = RemoteStream(requests, sha256, progress)
        expected = announced_sha256(requests) if sha256 else ""
        entry = _Entry.of(self, stream, expected)
        return entry.copy, entry.hold(stream)

    def _reserve(self, temporary: Path, length: int) -> None:
        """Make room for a file that is being written, and let it have this length.

        Raises
        ------
        InputError
            Where the files in use leave no room.
        """
        with locked(self.folder / _LOCK):
            entries = sorted(_kept(self.folder), key=lambda entry: entry.used)
            room = self.size + temporary.stat().st_size - sum(entry.size for entry in entries)
            for entry in entries:
                if room >= length and entry.complete:
                    continue
                if entry.delete():
                    room += entry.size
            if room < length:
                raise InputError(
                    f"the cache {self.folder} may have {self.size / 2**30:.3g} GiB, of which files "
                    f"in use leave {max(0, room)} bytes, and {length} are needed; raise "
                    "OUTCROP_REMOTE_GIB"
                )
            os.truncate(temporary, length)


@dataclass(frozen=True)
class _Kept:
    """A folder of the cache, as it was found."""

    folder: Path
    size: int
    used: int
    complete: bool

    def delete(self) -> bool:
        """Delete it, unless a process holds it; return whether it is deleted."""
        lock = Lock(self.folder / _LOCK)
        try:
            if not lock.try_exclusive():
                return False
            # The lock last: until then, who waits for it finds it.
            for path in self.folder.iterdir():
                if path.name != _LOCK:
                    path.unlink()
            shutil.rmtree(self.folder)
            return True
        finally:
            lock.close()


def _kept(folder: Path) -> Generator[_Kept]:
    for each in folder.iterdir():
        if not _FOLDER.fullmatch(each.name):
            continue
        size = used = 0
        complete = False
        for path in each.iterdir():
            # A temporary file may be deleted meanwhile.
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                size += found.st_size
                if path.name.endswith(".origin.json"):
                    complete, used = True, found.st_mtime_ns
        yield _Kept(each, size, used, complete)


@dataclass(frozen=True)
class _Entry:
    """A version of a remote file in the cache.

    Attributes
    ----------
    cache : RemoteCache
    origin : FileFingerprint
    copy : Path
    sha256 : str
        Expected, of the whole file; empty where it is not checked.
    """

    cache: RemoteCache
    origin: FileFingerprint
    copy: Path
    sha256: str

    @staticmethod
    def of(cache: RemoteCache, stream: RemoteStream, sha256: str) -> "_Entry":
        version = stream.version
        origin = FileFingerprint(stream.address, version.size, version.mtime, version.etag)
        name = stream.address.rpartition("/")[2]
        # One that was checked as a whole is another copy than one that was not.
        key = format_origin(origin) + sha256.encode()
        folder = cache.folder / hashlib.sha256(key).hexdigest()[:32]
        return _Entry(cache, origin, folder / name, sha256)

    @property
    def complete(self) -> bool:
        """Whether the copy is there as a whole: its origin is written last."""
        return origin_of(self.copy).exists()

    def hold(self, stream: RemoteStream) -> Lock:
        """Return the lock, shared, of a complete copy; make it where it is missing."""
        lock = Lock(self.copy.parent / _LOCK)
        try:
            lock.acquire(shared=True)
            while not self.complete:
                lock.acquire(shared=False)
                if not self.complete:
                    self._fetch(stream)
                # The kernel lets go in between: it may be deleted again.
                lock.acquire(shared=True)
            os.utime(origin_of(self.copy))
        except BaseException:
            lock.close()
            raise
        return lock

    def _fetch(self, stream: RemoteStream) -> None:
        for left in self.copy.parent.iterdir():
            if left.name != _LOCK:
                left.unlink()
        temporary = self.copy.with_name(f".{self.copy.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as out:
                self._write(stream, out, temporary)
                out.flush()
                os.fsync(out.fileno())
            # Not while the sizes are counted.
            with locked(self.cache.folder / _LOCK):
                temporary.replace(self.copy)
        except OSError as error:
            raise InputError(f"{self.copy} cannot be written: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)
        write_atomically(origin_of(self.copy), format_origin(self.origin), overwrite=True)

    def _write(self, stream: RemoteStream, out: BinaryIO, temporary: Path) -> None:
        start = stream.read(len(_GZIP))
        stream.seek(0)
        if start == _GZIP:
            self.cache._reserve(temporary, stream.size)
            _copy_gzip(stream, out)
        else:
            copy_fits(stream, out, lambda length: self.cache._reserve(temporary, length))

        if self.sha256 and stream.sha256 != self.sha256:
            raise InputError(
                f"{stream.address} has the SHA-256 {stream.sha256}, not {self.sha256} as the "
                "checksum file says; it is damaged where it is kept: take another copy"
            )


def _copy_gzip(stream: RemoteStream, out: BinaryIO) -> None:
    """Copy a gzipped file as it is; InputError where it is damaged or too large once unpacked."""
    unpacked, unpack = 0, zlib.decompressobj(wbits=31)
    try:
        for piece in stream.pieces(stream.size):
            out.write(piece)
            rest = bytes(piece)
            while rest and unpacked <= REMOTE_UNPACKED:
                unpacked += len(unpack.decompress(rest, REMOTE_UNPACKED))
                rest = unpack.unconsumed_tail or unpack.unused_data
                if unpack.eof:
                    unpack = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise InputError(f"{stream.address} is damaged: {error}; take another copy") from error
    if unpacked > REMOTE_UNPACKED:
        raise InputError(
            f"{stream.address} has more than {REMOTE_UNPACKED >> 30} GiB when it is unpacked; "
            "unpack a copy and name its path"
        )


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
