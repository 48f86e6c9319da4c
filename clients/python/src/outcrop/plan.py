"""Plan: the petals of a release that are to be scored, or trained on, and where their files are.

A plan is an ECSV table with one row for each coadd. Files are named relative to the plan's root, a
folder or an address as ``https://data.desi.lbl.gov/public/dr1/spectro/redux/iron``, so that one
plan serves every copy of a release.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_UNKNOWN: Final = -1


@dataclass(frozen=True)
class PlannedPetal:
    """A coadd of a plan, with its redrock file.

    Attributes
    ----------
    coadd, redrock : str
        Paths relative to the root of the plan, with ``/``.
    survey, program : str
        As ``main`` and ``bright``; empty where unknown.
    healpix, tileid, petal : int
        Of a healpix file the first, of a tile's petal the others; −1 where there is none.
    spectra : int
        Rows expected; −1 where unknown.
    size : int
        Bytes of the coadd; −1 where unknown.
    """

    coadd: str
    redrock: str
    survey: str = ""
    program: str = ""
    healpix: int = _UNKNOWN
    tileid: int = _UNKNOWN
    petal: int = _UNKNOWN
    spectra: int = _UNKNOWN
    size: int = _UNKNOWN


@dataclass(frozen=True, eq=False)
class Plan:
    """The petals of a release.

    Attributes
    ----------
    root : str
        Folder or address of the release.
    petals : tuple of PlannedPetal
        In the order of their coadds' paths.
    meta : mapping
        What the plan was made of: source, selections, counts; as the header of the table says.
    """

    root: str
    petals: tuple[PlannedPetal, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)

    def address(self, path: str) -> str:
        """Return the path or address of a file of the plan."""
        return f"{self.root.rstrip('/')}/{path}"

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the table, ``.ecsv``; InputError where it exists or cannot be written."""
        raise NotImplementedError

    @staticmethod
    def read(path: str | os.PathLike[str], root: str | None = None) -> "Plan":
        """Read a plan, with another root if one is given.

        Raises
        ------
        InputError
            Where the file cannot be read, is no plan, or names files outside its root.
        """
        raise NotImplementedError
