"""Locks of the kernel (flock), which end with the process that holds them."""

import fcntl
import os
import random
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import InputError

LOCK: Final = "lock"
"""Name of the lock file of a folder."""
_CLOSED: Final = -1


@contextmanager
def locked(path: Path, shared: bool = False) -> Generator["Lock"]:
    """Hold a lock during a block; wait for it where another holds it.

    Threads of one process exclude each other too.
    """
    lock = Lock(path)
    try:
        lock.acquire(shared)
        yield lock
    finally:
        lock.close()


@contextmanager
def one_of(folder: Path, number: int) -> Generator[None]:
    """Hold one of several equal locks during a block, as one of a limited number of connections."""
    order = random.sample(range(number), number)
    for each in order:
        lock = Lock(folder / str(each))
        if lock.try_exclusive():
            break
        lock.close()
    else:
        # All are held: wait for any one, as the others do.
        lock = Lock(folder / str(order[0]))
        lock.acquire(shared=False)

    try:
        yield
    finally:
        lock.close()


class Lock:
    """A lock file, open; its folder is made where it is missing.

    The file of a lock may be deleted by who holds it alone. Who waited for it then begins again
    with a new file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()
        _open_locks.add(self)

    def acquire(self, shared: bool) -> None:
        """Hold the lock, alone or shared; wait for it."""
        while True:
            self._flock(fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if self._is_current():
                return
            os.close(self._file)
            self._file = self._open()

    def try_exclusive(self) -> bool:
        """Hold the lock alone; return whether that is so, without waiting."""
        try:
            self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return self._is_current()

    def close(self) -> None:
        """End holding it."""
        if self._file != _CLOSED:
            os.close(self._file)
            self._file = _CLOSED

    def _open(self) -> int:
        while True:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:
                continue  # its folder was deleted meanwhile
            except OSError as error:
                raise InputError(
                    f"{self._path} cannot be made ({error.strerror}); OUTCROP_REMOTE_CACHE names "
                    "another folder for the cache"
                ) from error

    def _flock(self, operation: int) -> None:
        try:
            fcntl.flock(self._file, operation)
        except BlockingIOError:
            raise
        except OSError as error:
            raise InputError(
                f"{self._path} cannot be locked ({error.strerror}); put the cache on a local disk: "
                "OUTCROP_REMOTE_CACHE"
            ) from error

    def _is_current(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(self._file)
        return (own.st_ino, own.st_dev) == (there.st_ino, there.st_dev)


_open_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _close_inherited() -> None:
    """Close the locks of the parent process, which would last as long as this one."""
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_inherited)
