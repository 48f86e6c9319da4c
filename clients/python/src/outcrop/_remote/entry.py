"""Entry of the cache: a version of a remote file, whose copy is made once.

It has a folder of its own, which holds the copy, its origin and a lock. Who reads the copy shares
the lock, who makes or deletes it holds it alone. So a copy is never replaced, several processes
fetch a file once, and what a process that was killed left is deleted by the next.
"""

import hashlib
import os
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .._constants import REMOTE_UNPACKED
from .._files import write_atomically
from ..errors import InputError
from ..fingerprint import FileFingerprint, format_origin, origin_of
from .fits_copy import copy_fits
from .locks import LOCK, Lock
from .room import Room
from .stream import RemoteStream

_GZIP: Final = b"\x1f\x8b"
_GZIP_BITS: Final = 31  # what zlib calls its format
_UNPACKED_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True)
class CacheEntry:
    """A version of a remote file in the cache.

    Attributes
    ----------
    room : Room
    origin : FileFingerprint
    copy : Path
    sha256 : str
        Expected, of the whole file; empty where it is not checked.
    """

    room: Room
    origin: FileFingerprint
    copy: Path
    sha256: str

    @staticmethod
    def of(room: Room, stream: RemoteStream, sha256: str) -> "CacheEntry":
        """Return the entry of what a stream reads."""
        version = stream.version
        origin = FileFingerprint(stream.address, version.size, version.mtime, version.etag)
        name = stream.address.rpartition("/")[2]
        # One that was checked as a whole is another copy than one that was not.
        key = format_origin(origin) + sha256.encode()
        folder = room.folder / f"{_hash(stream.address.encode())}-{_hash(key)}"
        return CacheEntry(room, origin, folder / name, sha256)

    @staticmethod
    def is_likely(room: Room, address: str) -> bool:
        """Return whether there is an entry of any version of a file."""
        return any(room.folder.glob(f"{_hash(address.encode())}-*"))

    @property
    def complete(self) -> bool:
        """Whether the copy is there as a whole: its origin is written last."""
        return origin_of(self.copy).exists()

    def hold(self, stream: RemoteStream) -> Lock:
        """Return the lock, shared, of a complete copy; make it where it is missing."""
        lock = Lock(self.copy.parent / LOCK)
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
            if left.name != LOCK:
                left.unlink()
        temporary = self.copy.with_name(f".{self.copy.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as out:
                self._write(stream, out, temporary)
                out.flush()
                os.fsync(out.fileno())
            self.room.rename(temporary, self.copy)
        except OSError as error:
            raise InputError(
                f"{self.copy} cannot be written: {error}; OUTCROP_REMOTE_CACHE names another "
                "folder for the cache"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        write_atomically(origin_of(self.copy), format_origin(self.origin), overwrite=True)

    def _write(self, stream: RemoteStream, out: BinaryIO, temporary: Path) -> None:
        start = stream.read(len(_GZIP))
        stream.seek(0)
        if start == _GZIP:
            self.room.reserve(temporary, stream.size)
            _copy_gzip(stream, out)
        else:
            copy_fits(stream, out, lambda length: self.room.reserve(temporary, length))

        if self.sha256 and stream.sha256 != self.sha256:
            raise InputError(
                f"{stream.address} has the SHA-256 {stream.sha256}, not {self.sha256} as the "
                "checksum file says; it is damaged where it is kept: take another copy"
            )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


def _copy_gzip(stream: RemoteStream, out: BinaryIO) -> None:
    """Copy a gzipped file as it is; InputError where it is damaged or too large once unpacked."""
    unpacking = _Unpacking(stream.address)
    try:
        for piece in stream.pieces(stream.size):
            out.write(piece)
            unpacking.add(bytes(piece))
        unpacking.end()
    except zlib.error as error:
        raise InputError(f"{stream.address} is damaged: {error}; take another copy") from error


class _Unpacking:
    """Checks and counts what a gzipped file unpacks to, without keeping it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._unpack = zlib.decompressobj(wbits=_GZIP_BITS)
        self._unpacked = 0

    def add(self, packed: bytes) -> None:
        while packed:
            # Of several gzipped files in one
            if self._unpack.eof:
                self._unpack = zlib.decompressobj(wbits=_GZIP_BITS)
            self._count(packed)
            # Zeros may follow
            packed = self._unpack.unconsumed_tail or self._unpack.unused_data.lstrip(b"\0")

    def end(self) -> None:
        while not self._unpack.eof and self._count(b""):
            pass
        if not self._unpack.eof:
            raise InputError(f"{self._address} is cut off; take another copy")

    def _count(self, packed: bytes) -> int:
        number = len(self._unpack.decompress(packed, _UNPACKED_AT_ONCE))
        self._unpacked += number
        if self._unpacked > REMOTE_UNPACKED:
            raise InputError(
                f"{self._address} has more than {REMOTE_UNPACKED >> 30} GiB when it is unpacked; "
                "unpack a copy and name its path"
            )
        return number
