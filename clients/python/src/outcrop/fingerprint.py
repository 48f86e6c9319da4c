"""Stamps: what a file was when it was read, so that a later one under its name is told from it.

A score table's header keeps those of its inputs. The time alone would not do: a file that is
copied with its time, as rsync copies, may be newer than the table and look older.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError


@dataclass(frozen=True)
class Stamp:
    """A file as it was.

    Attributes
    ----------
    name : str
        Without its folder, so that a tree may be moved.
    size : int
        Bytes.
    mtime : int
        Time of the last modification, ns since 1970.
    """

    name: str
    size: int
    mtime: int

    @staticmethod
    def of(path: str | os.PathLike[str]) -> "Stamp":
        """Return the stamp of a file as it is now; InputError where there is none."""
        path = Path(path)
        try:
            found = path.stat()
        except OSError as error:
            raise InputError(f"{path} cannot be looked at: {error.strerror}") from error
        return Stamp(path.name, found.st_size, found.st_mtime_ns)


def cards(stamps: Sequence[Stamp]) -> Iterator[tuple[str, Any, str]]:
    """Yield keyword, value and comment of the header cards that keep these stamps.

    INFILnnn is desispec's way to name input files.

    Examples
    --------
    >>> from outcrop.fingerprint import Stamp, cards
    >>> [card[:2] for card in cards([Stamp("coadd-1.fits", 5760, 1616500000000000000)])]
    [('INFIL000', 'coadd-1.fits'), ('INSIZ000', 5760), ('INMTI000', 1616500000000000000)]
    """
    for number, stamp in enumerate(stamps):
        yield f"INFIL{number:03d}", stamp.name, "input file"
        yield f"INSIZ{number:03d}", stamp.size, "its bytes"
        yield f"INMTI{number:03d}", stamp.mtime, "its mtime, ns since 1970"


def stamped(header: Mapping[str, Any], stamps: Sequence[Stamp]) -> bool:
    """Return whether a header keeps these very stamps."""
    return all(header.get(keyword) == value for keyword, value, _ in cards(stamps))
