"""Places: where on the sky a target is, and through which fibres on which nights it was seen.

A tile's coadd has one row per fibre and its night in the primary header. In a healpixel's a
target may have been seen on several tiles: there the rows of EXP_FIBERMAP, one per exposure, are
what is known.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._fits import FitsFile, FitsTable

_FIBRE: Final = ("TARGETID", "TILEID", "FIBER", "PETAL_LOC")


@dataclass(frozen=True)
class Place:
    """One fibre on one night, and the target in it.

    Attributes
    ----------
    ra, dec : float
        Degrees, J2000; NaN where unknown.
    tileid, fiber, petal, night : int
        −1 where unknown. The night is YYYYMMDD: of a cumulative coadd the last.
    """

    ra: float = math.nan
    dec: float = math.nan
    tileid: int = -1
    fiber: int = -1
    petal: int = -1
    night: int = -1

    @property
    def viewer(self) -> str:
        """Address of the place in the Legacy Surveys' sky viewer; empty where unknown."""
        return viewer_link(self.ra, self.dec) if math.isfinite(self.ra + self.dec) else ""


def viewer_link(ra: float, dec: float) -> str:
    """Return the address of a place in the Legacy Surveys' sky viewer, data release 9.

    Examples
    --------
    >>> from outcrop.night.fiber_observations import viewer_link
    >>> viewer_link(150.1, -2.2)
    'https://www.legacysurvey.org/viewer?ra=150.100000&dec=-2.200000&layer=ls-dr9&zoom=16'
    """
    return f"https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"


def read_places(
    coadd: str | os.PathLike[str], targetids: NDArray[np.int64]
) -> dict[int, list[Place]]:
    """Return every fibre through which a coadd's targets were seen.

    Parameters
    ----------
    coadd : path
    targetids : (N,) int64
        The targets that are asked for.

    Returns
    -------
    dict of int to list of Place
        By TARGETID, in the order of nights, tiles and fibres; each combination once, at least
        one place each.

    Raises
    ------
    InputError
        Where the file is missing, damaged or not what it should be.
    """
    with FitsFile(Path(coadd)) as file:
        fibermap = file.table("FIBERMAP")
        seen = fibermap
        if not _has_fibres(seen) and "EXP_FIBERMAP" in file:
            seen = file.table("EXP_FIBERMAP")
        header = file.header("PRIMARY").get("NIGHT", -1)
        night = header if isinstance(header, int) else -1
        fibres = _fibres(seen, night) if _has_fibres(seen) else np.zeros((0, 5), np.int64)
        targets = fibermap.integers("TARGETID")
        sky = [
            fibermap.floats(name) if name in fibermap else np.full(len(targets), np.nan)
            for name in ("TARGET_RA", "TARGET_DEC")
        ]
    places: dict[int, list[Place]] = {}
    for one in np.unique(targetids):
        row = np.flatnonzero(targets == one)[:1]
        ra, dec = (float(axis[row[0]]) if len(row) else math.nan for axis in sky)
        own = np.unique(fibres[fibres[:, 0] == one, 1:], axis=0)
        places[int(one)] = [
            Place(ra, dec, tileid=int(tileid), fiber=int(fiber), petal=int(petal), night=int(day))
            for day, tileid, fiber, petal in own
        ] or [Place(ra, dec)]
    return places


def _has_fibres(table: FitsTable) -> bool:
    return all(name in table for name in _FIBRE)


def _fibres(table: FitsTable, night: int) -> NDArray[np.int64]:
    """Return TARGETID, NIGHT, TILEID, FIBER and PETAL_LOC as (N, 5)."""
    targetid, *fibre = (table.integers(name) for name in _FIBRE)
    nights = table.integers("NIGHT") if "NIGHT" in table else np.full(len(table), night)
    return np.column_stack([targetid, nights, *fibre])
