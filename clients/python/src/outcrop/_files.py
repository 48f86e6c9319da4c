"""Files that are written completely or not at all."""

import gzip
import os
import uuid
from pathlib import Path

from .errors import InputError


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Check that an output can be written, before any work is done for it.

    Raises
    ------
    InputError
        Where the file exists and may not be overwritten, or its folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(f"{target}: its folder {target.parent} does not exist; make it first")
    if target.is_dir():
        raise InputError(f"{target} is a folder; name a file")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists; choose another name or overwrite it")


def write_atomically(target: Path, content: bytes | memoryview, overwrite: bool) -> None:
    """Write a file with this content; compressed where its name ends in ``.gz``.

    Raises
    ------
    InputError
        Where it cannot be written. An earlier file of this name is kept, and nothing is left
        behind.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        # "x" never follows or replaces anything, and the umask sets the mode.
        with temporary.open("xb") as stream:
            stream.write(gzip.compress(content) if target.suffix == ".gz" else content)
            stream.flush()
            os.fsync(stream.fileno())
        check_output(target, overwrite)
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
