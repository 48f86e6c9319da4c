"""Fiber observations: the position of a target, and the fibers and nights of its observations.

The coadd of a tile has one row per fiber and its night in the primary header. A target of a
healpixel may have been observed on several tiles: there the rows of EXP_FIBERMAP, one per
exposure, list them.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .._fits import FitsFile, FitsTable

_FIBER_COLUMNS: Final = ("TARGETID", "TILEID", "FIBER", "PETAL_LOC")


@dataclass(frozen=True)
class FiberObservation:
    """The observation of a target through one fiber on one night.

    Attributes
    ----------
    ra, dec : float
        Degrees, J2000; NaN where unknown.
    tileid, fiber, petal, night : int
        −1 where unknown. The night is YYYYMMDD; of a cumulative coadd it is the last.
    """

    ra: float = math.nan
    dec: float = math.nan
    tileid: int = -1
    fiber: int = -1
    petal: int = -1
    night: int = -1

    @property
    def viewer(self) -> str:
        """Link to the position in the Legacy Surveys' sky viewer; empty where unknown."""
        return viewer_link(self.ra, self.dec) if math.isfinite(self.ra + self.dec) else ""


def viewer_link(ra: float, dec: float) -> str:
    """Return the link to a position in the Legacy Surveys' sky viewer, data release 9.

    Examples
    --------
    >>> from outcrop.night.fiber_observations import viewer_link
    >>> viewer_link(150.1, -2.2)
    'https://www.legacysurvey.org/viewer?ra=150.100000&dec=-2.200000&layer=ls-dr9&zoom=16'
    """
    return f"https://www.legacysurvey.org/viewer?ra={ra:.6f}&dec={dec:.6f}&layer=ls-dr9&zoom=16"


def read_fiber_observations(
    coadd: str | os.PathLike[str], targetids: NDArray[np.int64]
) -> dict[int, list[FiberObservation]]:
    """Return the fiber observations of some targets of a coadd.

    Parameters
    ----------
    coadd : path
    targetids : (N,) int64

    Returns
    -------
    dict of int to list of FiberObservation
        By TARGETID, sorted by night, tile and fiber; each combination once, at least one each.

    Raises
    ------
    InputError
        Where the file is missing, damaged or not a coadd.
    """
    with FitsFile(Path(coadd)) as file:
        fibermap = file.table("FIBERMAP")
        targets = fibermap.integers("TARGETID")
        ra, dec = _positions(fibermap)
        fibers = _fibers(file, fibermap)

    observations: dict[int, list[FiberObservation]] = {}
    for targetid in np.unique(targetids):
        row = np.flatnonzero(targets == targetid)[:1]
        position = (float(ra[row[0]]), float(dec[row[0]])) if len(row) else (math.nan, math.nan)
        own = np.unique(fibers[fibers[:, 0] == targetid, 1:], axis=0)
        observations[int(targetid)] = [
            FiberObservation(
                *position, tileid=int(tileid), fiber=int(fiber), petal=int(petal), night=int(night)
            )
            for night, tileid, fiber, petal in own
        ] or [FiberObservation(*position)]
    return observations


def _positions(fibermap: FitsTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination of each row, degrees; NaN where unknown."""
    ra, dec = (
        fibermap.floats(name) if name in fibermap else np.full(len(fibermap), np.nan)
        for name in ("TARGET_RA", "TARGET_DEC")
    )
    return ra, dec


def _fibers(file: FitsFile, fibermap: FitsTable) -> NDArray[np.int64]:
    """Return TARGETID, NIGHT, TILEID, FIBER and PETAL_LOC of each observation, (N, 5)."""
    table = fibermap
    if not _has_fibers(table) and "EXP_FIBERMAP" in file:
        table = file.table("EXP_FIBERMAP")
    if not _has_fibers(table):
        return np.zeros((0, 5), np.int64)

    targetid, *fiber = (table.integers(name) for name in _FIBER_COLUMNS)
    if "NIGHT" in table:
        nights = table.integers("NIGHT")
    else:
        night = file.header("PRIMARY").get("NIGHT", -1)
        nights = np.full(len(table), night if isinstance(night, int) else -1)
    return np.column_stack([targetid, nights, *fiber])


def _has_fibers(table: FitsTable) -> bool:
    return all(name in table for name in _FIBER_COLUMNS)
