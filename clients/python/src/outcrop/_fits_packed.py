"""Packed FITS: the tables of a file that Outcrop wrote, read without astropy.

astropy takes 10 ms for the headers of a score table, whatever its rows; a night has hundreds.
"""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._fits_layout import HduLayout, read_layout
from .errors import InputError

_FORMAT: Final = re.compile(r"(\d*)([LBIJKEDA])")
_TYPES: Final = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}


class PackedFits:
    """The tables of a score table's file, in memory.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        Where the file cannot be read, is cut off or otherwise damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        layouts = read_layout(path, io.BytesIO(self._content), len(self._content))
        self._hdus = {one.name: one for one in layouts}

    def __contains__(self, name: str) -> bool:
        return name in self._hdus

    def header(self, name: str) -> Mapping[str, str | int | float | bool]:
        """Return the values of an HDU's header."""
        return {key: _value(text) for key, text in self._hdu(name).cards.items()}

    def table(self, name: str) -> "PackedTable":
        """Return a binary table HDU; InputError where it is not as Outcrop writes it."""
        hdu = self._hdu(name)
        try:
            dtype = _dtype(hdu.cards)
            rows = int(hdu.cards["NAXIS2"])
            if dtype.itemsize != int(hdu.cards["NAXIS1"]):
                raise ValueError("its columns do not fill its rows")
            return PackedTable(
                self.path, name, np.frombuffer(self._content, dtype, rows, hdu.start)
            )
        except (KeyError, ValueError) as error:
            raise InputError(
                f"{self.path}: HDU {name} is no table of Outcrop: {error}; score again"
            ) from error

    def _hdu(self, name: str) -> HduLayout:
        if name not in self._hdus:
            raise InputError(
                f"{self.path} has no HDU {name}; it has {', '.join(self._hdus)}: is it a score "
                "table?"
            )
        return self._hdus[name]


class PackedTable:
    """A binary table; its columns are returned as native arrays, as those of `FitsTable`."""

    def __init__(self, path: Path, name: str, rows: NDArray[Any]) -> None:
        self._path, self._name, self._rows = path, name, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, column: str) -> bool:
        return column in (self._rows.dtype.names or ())

    def __getitem__(self, rows: NDArray[np.intp]) -> "PackedTable":
        return PackedTable(self._path, self._name, self._rows[rows])

    def integers(self, column: str) -> NDArray[np.int64]:
        """Return a column of integers of any width."""
        return self._column(column, "iu").astype(np.int64)

    def floats(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers."""
        return self._column(column, "fiu").astype(np.float64)

    def vectors(self, column: str) -> NDArray[np.float32]:
        """Return a column that has several numbers per row, (rows, numbers)."""
        return self._column(column, "f").astype(np.float32).reshape(len(self), -1)

    def booleans(self, column: str) -> NDArray[np.bool_]:
        """Return a column of logical values."""
        return self._column(column, "S") == b"T"

    def strings(self, column: str) -> NDArray[np.str_]:
        """Return a column of strings without their padding."""
        values = self._column(column, "S")
        try:
            return np.char.strip(values.astype(np.str_))
        except UnicodeDecodeError as error:
            raise InputError(f"{self._path}: column {column} is not ASCII; score again") from error

    def _column(self, column: str, kinds: str) -> NDArray[Any]:
        if column not in self:
            raise InputError(
                f"{self._path}: HDU {self._name} has no column {column}; it has "
                f"{', '.join(self._rows.dtype.names or ())}: score again"
            )
        values: NDArray[Any] = self._rows[column]
        if values.dtype.kind not in kinds:
            raise InputError(
                f"{self._path}: column {column} of HDU {self._name} holds {values.dtype}; "
                "score again"
            )
        return values


def _dtype(cards: Mapping[str, str]) -> np.dtype[Any]:
    """Return the type of a row; ValueError or KeyError where it is not one of Outcrop's."""
    fields: list[tuple[Any, ...]] = []
    for number in range(1, int(cards["TFIELDS"]) + 1):
        name, form = (cards[f"{key}{number}"].strip("' ") for key in ("TTYPE", "TFORM"))
        match = _FORMAT.fullmatch(form)
        if match is None or f"TSCAL{number}" in cards or f"TZERO{number}" in cards:
            raise ValueError(f"column {name} has the format {form}")
        count, letter = int(match[1] or 1), match[2]
        if letter == "A":
            fields.append((name, f"S{count}"))
        else:
            fields.append((name, _TYPES[letter], *([count] if count > 1 else [])))
    return np.dtype(fields)


def _value(text: str) -> str | int | float | bool:
    if text.startswith("'"):
        return text[1:].removesuffix("'").rstrip()
    if text in ("T", "F"):
        return text == "T"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
