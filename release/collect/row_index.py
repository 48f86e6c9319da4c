"""Row index: of every row of a release what is needed to compare it with all others.

It is in memory; all else of a row is read again when the row is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import eligible

from .positions import coarser, pixels
from .score_tables import ScoreTable, TableDescription

ROW_GROUP_ORDER: Final = 4
"""Of the pixels that are sorted and written one after the other: 13 square degrees."""


@dataclass(eq=False)
class RowIndex:
    """The rows of all tables, one table after the other.

    Attributes
    ----------
    tables : list of TableDescription
    cards : mapping
        As of the first `ScoreTable`; what they say of the model is the same for all.
    targetid : (N,) int64
    p_value : (N,) float64
        NaN where the row is not eligible, or has none.
    snr : (N,) float32
    eligible, flagged : (N,) bool
    fiber : (N,) int32
        −1 where unknown.
    touched : list of (k,) int64
        Of each table the pixels of `ROW_GROUP_ORDER` with rows of it.
    """

    tables: list[TableDescription]
    cards: Mapping[str, Any]
    targetid: NDArray[np.int64]
    p_value: NDArray[np.float64]
    snr: NDArray[np.float32]
    eligible: NDArray[np.bool_]
    flagged: NDArray[np.bool_]
    fiber: NDArray[np.int32]
    touched: list[NDArray[np.int64]]

    def __post_init__(self) -> None:
        self._ends = np.cumsum([0, *(table.rows for table in self.tables)])

    def __len__(self) -> int:
        return len(self.targetid)

    def rows_of(self, number: int) -> slice:
        """Return the rows of a table, given its number."""
        return slice(int(self._ends[number]), int(self._ends[number + 1]))

    def by_row(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values that tables have, (tables,), for each row, (N,)."""
        return np.repeat(values, np.diff(self._ends))

    def partitions(self) -> Iterator[tuple[tuple[str, str], list[int]]]:
        """Yield survey and program, and the numbers of their tables, in order."""
        for partition in sorted({table.partition for table in self.tables}):
            numbers = [n for n, table in enumerate(self.tables) if table.partition == partition]
            yield partition, numbers


@dataclass(eq=False)
class RowIndexBuilder:
    """Makes a `RowIndex` of tables as they are read."""

    tables: list[TableDescription] = field(default_factory=list[TableDescription])
    _cards: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _parts: dict[str, list[NDArray[Any]]] = field(default_factory=dict[str, list[NDArray[Any]]])
    _touched: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])

    def add(self, table: ScoreTable) -> None:
        """Add a table; InputError where it lacks a column."""
        rows = table.rows
        status, snr = rows.integers("STATUS").astype(np.int32), rows.floats("SNR")
        counted = eligible(status, snr)
        pixel = pixels(rows.floats("TARGET_RA"), rows.floats("TARGET_DEC"))
        parts = {
            "targetid": rows.integers("TARGETID"),
            "p_value": np.where(counted, rows.floats("P_VALUE"), np.nan),
            "snr": snr.astype(np.float32),
            "eligible": counted,
            "flagged": rows.booleans("ANOMALY") & counted,
            "fiber": rows.integers("FIBER").astype(np.int32),
        }

        for name, part in parts.items():
            self._parts.setdefault(name, []).append(part)
        self._touched.append(np.unique(coarser(pixel, ROW_GROUP_ORDER)))
        self._cards = self._cards or table.cards
        self.tables.append(table.description)

    def build(self) -> RowIndex:
        """Return the index; the builder is empty afterwards."""
        # One column after the other, so that no more than one is in memory twice.
        columns: dict[str, Any] = {}
        for name in list(self._parts):
            columns[name] = np.concatenate(self._parts.pop(name))
        return RowIndex(self.tables, self._cards, touched=self._touched, **columns)
