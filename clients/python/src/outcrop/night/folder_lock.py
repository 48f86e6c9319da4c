"""Folder lock: one night, or one run of a release, at a time works on an output folder.

The kernel releases the lock when its process ends, however that happens. The file stays.
"""

import contextlib
import errno
import fcntl
import logging
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ..errors import FolderInUse, InputError

logger = logging.getLogger(__name__)

NIGHT: Final = "night"
_LONGEST: Final = 200  # bytes that are read of it
_PAUSE: Final = 0.01  # s, after which a lock that others share is tried again
_UNSUPPORTED: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def locked(folder: Path, work: str = NIGHT) -> Generator[None]:
    """Hold the lock of a folder, the file ``{work}.lock``.

    On a file system without locks there is a warning in the log, and no lock.

    Parameters
    ----------
    folder : Path
    work : str
        What the folder is locked for.

    Raises
    ------
    FolderInUse
        Where another process holds it; the message says which.
    InputError
        Where the lock's file cannot be opened.
    """
    path = folder / f"{work}.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(f"{path} cannot be opened: {error.strerror}; remove it") from error

    try:
        _lock(lock)
    except BlockingIOError as error:
        holder = os.read(lock, _LONGEST).decode("ascii", "replace").strip()
        os.close(lock)
        raise FolderInUse(
            f"another {work} works on {folder}: {holder or 'unknown'}; wait until it has ended, or "
            "choose another folder"
        ) from error
    except OSError as error:
        os.close(lock)
        if error.errno not in _UNSUPPORTED:
            raise InputError(f"{path} cannot be locked: {error.strerror}") from error
        logger.warning("%s cannot be locked: let no other %s work on the folder", path, work)
        yield
        return

    try:
        # Only for the message to another process: a full disk does not matter.
        with contextlib.suppress(OSError):
            os.ftruncate(lock, 0)
            os.write(lock, _holder().encode("ascii", "replace"))
        yield
    finally:
        os.close(lock)


def _lock(file: int) -> None:
    """Lock an open file; BlockingIOError where another process works on the folder.

    `find_holder` shares the lock for an instant, which is no reason to refuse the work.
    """
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            # Refused where one works; allowed where others only look, too.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            time.sleep(_PAUSE)


def find_holder(folder: Path, work: str) -> str:
    """Return which process holds the lock of a folder; empty where none does."""
    try:
        with (folder / f"{work}.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = (folder / f"{work}.lock").read_bytes()[:_LONGEST]
        return text.decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return ""
    return ""


def _holder() -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}, since {now} UTC\n"
