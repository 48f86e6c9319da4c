"""Redshift catalogue: what the targets of a release are called, and which rows are primary."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import InputError

from ..zcatalog import ZcatalogFile
from .row_index import RowIndex

_TRUE: Final = ord("T")
_KINDS: Final = {
    **dict.fromkeys(("TARGETID", "HEALPIX", "TILEID", "ZCAT_PRIMARY"), "i"),
    **dict.fromkeys(("SURVEY", "PROGRAM", "DESINAME"), "S"),
}


@dataclass(frozen=True, eq=False)
class ZcatalogBlock:
    """Some rows of a zcatalog.

    Attributes
    ----------
    start : int
        Number of the first.
    targetid : (n,) int64
    place : (n,) int64
        HEALPIX, or TILEID.
    survey, program : (n,) bytes
        Empty where the catalogue has neither the columns nor the header cards.
    primary : (n,) bool
    """

    start: int
    targetid: NDArray[np.int64]
    place: NDArray[np.int64]
    survey: NDArray[np.bytes_]
    program: NDArray[np.bytes_]
    primary: NDArray[np.bool_]


class Zcatalog:
    """A redshift catalogue that says which rows are primary.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        Where it cannot be read, is cut off, or has no ZCAT_PRIMARY.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ZcatalogFile(path)
        names = self._file.names
        missing = [name for name in ("TARGETID", "ZCAT_PRIMARY") if name not in names]
        if missing or not {"HEALPIX", "TILEID"}.intersection(names):
            raise InputError(
                f"{path} has no column {missing[0] if missing else 'HEALPIX or TILEID'}; name a "
                "zcatalog of all programs, as zall-pix-iron.fits"
            )
        for name, kind in _KINDS.items():
            if name in names and self._file.dtype[name].kind != kind:
                raise InputError(
                    f"{path}: column {name} holds {self._file.dtype[name]}; name a zcatalog that "
                    "DESI made, as zall-pix-iron.fits"
                )

    @property
    def by_tile(self) -> bool:
        """Whether its rows are of tiles, not of healpix coadds."""
        return "HEALPIX" not in self._file.names

    @property
    def has_names(self) -> bool:
        """Whether it has DESINAMEs."""
        return "DESINAME" in self._file.names

    def blocks(self) -> Iterator[ZcatalogBlock]:
        """Yield all rows."""
        start = 0
        for rows in self._file.blocks():
            yield ZcatalogBlock(
                start,
                rows["TARGETID"].astype(np.int64),
                rows["TILEID" if self.by_tile else "HEALPIX"].astype(np.int64),
                self._strings(rows, "SURVEY"),
                self._strings(rows, "PROGRAM"),
                rows["ZCAT_PRIMARY"] == _TRUE,
            )
            start += len(rows)

    def names(self, rows: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """Return the DESINAMEs of some rows; empty for −1."""
        known = rows >= 0
        found = self._file.values("DESINAME", rows[known])
        named = np.zeros(len(rows), found.dtype)
        named[known] = found
        return named

    def _strings(self, rows: Any, name: str) -> NDArray[np.bytes_]:
        if name in self._file.names:
            return np.char.strip(rows[name])
        return np.full(len(rows), str(self._file.header.get(name, "")).strip().encode())


def match(index: RowIndex, zcatalog: Zcatalog) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find the rows of a release in its zcatalog.

    A row of a healpix coadd is matched by TARGETID, SURVEY, PROGRAM and HEALPIX, one of a tile by
    TARGETID and TILEID, to a zcatalog of tiles.

    Returns
    -------
    (N,) int64
        Row of the zcatalog; −1 where it has none.
    (N,) bool
        ZCAT_PRIMARY; false where it has none.

    Raises
    ------
    InputError
        Where no row is found, or one twice.
    """
    order = np.argsort(index.targetid, kind="stable")
    targetid = index.targetid[order]
    partitions, code, place = _keys(index, zcatalog.by_tile)
    found = np.full(len(index), -1, np.int64)
    primary = np.zeros(len(index), np.bool_)

    for block in zcatalog.blocks():
        of_block = _codes(block, partitions)
        at = np.searchsorted(targetid, block.targetid)
        end = np.searchsorted(targetid, block.targetid, "right")
        # A target has some rows, one after the other in `order`.
        left = np.flatnonzero(at < end)
        while len(left):
            rows = order[at[left]]
            same = (code[rows] == of_block[left]) & (
                (place[rows] == block.place[left]) | (place[rows] < 0)
            )
            rows, matched = rows[same], left[same]
            twice = found[rows] >= 0
            found[rows] = block.start + matched
            # Of two matches within the block the last one stays.
            twice |= found[rows] != block.start + matched
            if twice.any():
                raise _found_twice(int(index.targetid[rows[twice][0]]), zcatalog)
            primary[rows] = block.primary[matched]
            at[left] += 1
            left = left[at[left] < end[left]]

    if not (found >= 0).any():
        kind = "tiles" if zcatalog.by_tile else "healpix coadds"
        raise InputError(
            f"none of the {len(index)} rows is in {zcatalog.path}, which is of {kind}; "
            "name the zcatalog of the release that was scored"
        )
    return found, primary


def _keys(
    index: RowIndex, by_tile: bool
) -> tuple[list[tuple[str, str]], NDArray[np.int16], NDArray[np.int32]]:
    """Return the partitions, and of each row the number of its own and its pixel or tile.

    A catalogue of tiles has one row for a target on a tile, whatever its program. −1 is the number
    of rows that the catalogue cannot have.
    """
    partitions = [partition for partition, _ in index.partitions()]
    numbers, places = [], []
    for table in index.tables:
        number = 0 if by_tile else partitions.index(table.partition)
        numbers.append(number if table.of_tile == by_tile else -1)
        places.append(table.tileid if by_tile else table.healpix)
    return (
        [] if by_tile else partitions,
        index.by_row(np.array(numbers, np.int16)),
        index.by_row(np.array(places, np.int32)),
    )


def _codes(block: ZcatalogBlock, partitions: list[tuple[str, str]]) -> NDArray[np.int16]:
    """Return the number of the partition of each row; −2 where there is no such one."""
    if not partitions:
        return np.zeros(len(block.targetid), np.int16)
    codes = np.full(len(block.targetid), -2, np.int16)
    for number, (survey, program) in enumerate(partitions):
        same = (block.survey == survey.encode()) & (block.program == program.encode())
        codes[same] = number
    return codes


def _found_twice(targetid: int, zcatalog: Zcatalog) -> InputError:
    return InputError(
        f"{zcatalog.path} has several rows for TARGETID {targetid} in the same survey, program and "
        "pixel, or on the same tile; name that of one release, as zall-pix-iron.fits"
    )
