"""Room of the cache: the least recently used copies are deleted where others need theirs."""

import contextlib
import os
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import InputError
from .locks import LOCK, Lock, locked

_FOLDER: Final = re.compile(r"[0-9a-f]{20}-[0-9a-f]{20}")


@dataclass(frozen=True)
class Room:
    """The room of a cache.

    Attributes
    ----------
    folder : Path
    size : int
        Bytes that all files may have.
    """

    folder: Path
    size: int

    def reserve(self, temporary: Path, length: int) -> None:
        """Make room for a file that is being written, and let it have this length.

        Raises
        ------
        InputError
            Where the files in use leave no room.
        """
        with locked(self.folder / LOCK):
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

    def rename(self, temporary: Path, path: Path) -> None:
        """Rename a file that is complete, but not while the sizes are counted."""
        with locked(self.folder / LOCK):
            temporary.replace(path)


@dataclass(frozen=True)
class _Kept:
    """A folder of the cache, as it was found."""

    folder: Path
    size: int
    used: int
    complete: bool

    def delete(self) -> bool:
        """Delete it, unless a process holds it; return whether it is deleted."""
        lock = Lock(self.folder / LOCK)
        try:
            if not lock.try_exclusive():
                return False
            # The lock last: until then, who waits for it finds it.
            for path in self.folder.iterdir():
                if path.name != LOCK:
                    path.unlink()
            (self.folder / LOCK).unlink()
            # Another process may have made a new lock.
            with contextlib.suppress(OSError):
                self.folder.rmdir()
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
