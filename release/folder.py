"""Published folder: a folder of files that has its name when all are complete, never before.

It is written under a temporary name beside it, and renamed. What a killed process left there is
removed by the next one.
"""

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from outcrop import InputError

logger = logging.getLogger(__name__)

_UNSUPPORTED: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def publishing(target: Path, marker: str, overwrite: bool = False) -> Generator[Path]:
    """Yield an empty folder that gets the name of the target when the block ends without an error.

    Parameters
    ----------
    target : Path
        Its parents are made if missing.
    marker : str
        A file that every such folder has: no other one is ever replaced.
    overwrite : bool
        Replace an existing folder, as a whole and not before the new one is complete.

    Raises
    ------
    InputError
        Where the target exists and may not be replaced, another process writes it, or it cannot be
        written. An earlier folder of this name is kept then, and nothing is left behind.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    earlier = target.with_name(f".{target.name}.old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(exist_ok=True)
        held = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error}") from error

    try:
        _lock(held, temporary, target)
        try:
            _restore(target, earlier)
            _check(target, marker, overwrite)
            _empty(temporary)
            yield temporary
            _sync(temporary)
            _check(target, marker, overwrite)
            if target.exists():
                target.rename(earlier)
            temporary.rename(target)
        except BaseException:
            _restore(target, earlier)
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        shutil.rmtree(earlier, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error}") from error
    finally:
        os.close(held)


def _lock(held: int, temporary: Path, target: Path) -> None:
    """Lock the open temporary folder; the kernel unlocks it when the process ends."""
    busy = InputError(f"another process writes {target}; wait until it has ended")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise busy from error
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        logger.warning("%s cannot be locked: let no other process write %s", temporary, target)
    # The other process may have renamed it meanwhile.
    if not temporary.exists() or temporary.stat().st_ino != os.fstat(held).st_ino:
        raise busy


def _restore(target: Path, earlier: Path) -> None:
    """Give an earlier folder its name back, where no new one has taken it."""
    if earlier.exists() and not target.exists():
        earlier.rename(target)
    shutil.rmtree(earlier, ignore_errors=True)


def _check(target: Path, marker: str, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; choose another name, or give --overwrite to replace it")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; name a folder")
    if target.exists() and any(target.iterdir()) and not (target / marker).is_file():
        raise InputError(f"{target} has no {marker}: it is another folder, which is never replaced")


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _sync(folder: Path) -> None:
    """Have the kernel write all files below a folder to the disk."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in names)):
            opened = os.open(path, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)
