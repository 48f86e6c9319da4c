"""Outputs: whether a command can write what it is asked to, checked before any work.

The check takes no time, whereas the imports of a fit take many seconds. This module therefore
imports nothing but the standard library.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import TrainingError


class OutputError(TrainingError):
    """An output that cannot be written, or that would replace something."""


def check_new(path: Path) -> None:
    """Check that nothing is at path and that it can be made.

    Raises
    ------
    OutputError
        If something is there, or no file can be written there.
    """
    if path.exists() or path.is_symlink():
        raise OutputError(f"{path} exists already; remove it or choose another --output")
    _check_writable(path, path.absolute().parents)


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Check that path is, or can become, a folder to write files into.

    Parameters
    ----------
    overwrite : bool
        Whether the folder may have files in it already.

    Raises
    ------
    OutputError
        If it is no folder, has files that may not be replaced, or no file can be written there.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is not a folder; choose another name")
    _check_writable(path, (path, *path.absolute().parents))
    if path.is_dir() and not overwrite and next(path.iterdir(), None) is not None:
        raise OutputError(f"{path} has files in it; choose another folder or give --overwrite")


def check_file(path: Path) -> None:
    """Check that a file can be written at path; an earlier one may be replaced.

    Raises
    ------
    OutputError
        If path is a folder, or no file can be written there.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file")
    _check_writable(path, path.absolute().parents)


def _check_writable(path: Path, folders: Sequence[Path]) -> None:
    """Write a nameless file into the first of the folders that exists."""
    folder = next(one for one in folders if one.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {folder}: {error.strerror}; choose another place"
        ) from error
