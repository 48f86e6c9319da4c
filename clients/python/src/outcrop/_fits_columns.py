"""FITS columns: how a binary table stores the values of its columns, and images their numbers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_FORMAT: Final = re.compile(r"(\d*)([LXBIJKAEDCMPQ]).*")
# Logical values are the letters T and F. P and Q say where a variable number of values is, which
# is not read.
_TYPES: Final = {
    **{"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"},
    **{"C": ">c8", "M": ">c16", "P": "V8", "Q": "V16"},
}


@dataclass(frozen=True)
class FitsColumn:
    """A column of a binary table.

    Attributes
    ----------
    name : str
    stored : numpy dtype
        Of a row as it is in the file.
    logical : bool
    scale, zero : float
        A value is the stored one times scale, plus zero.
    """

    name: str
    stored: np.dtype[Any]
    logical: bool
    scale: float
    zero: float

    @staticmethod
    def of(cards: Mapping[str, str], number: int) -> "FitsColumn":
        """Return a column of a header; ValueError where there is none."""
        form = cards.get(f"TFORM{number}", "").strip("' ")
        match = _FORMAT.fullmatch(form)
        if match is None:
            raise ValueError(f"TFORM{number} is {form}")
        count, letter = int(match[1] or 1), match[2]

        # A string is one value of many letters, and X has eight bits in a byte.
        item = f"S{count}" if letter == "A" else _TYPES.get(letter, "u1")
        length = {"A": 1, "X": -(-count // 8)}.get(letter, count)
        return FitsColumn(
            cards.get(f"TTYPE{number}", f"{number}").strip("' ").upper(),
            np.dtype(item if length == 1 else (item, length)),
            letter == "L",
            number_of(cards.get(f"TSCAL{number}", "1")),
            number_of(cards.get(f"TZERO{number}", "0")),
        )

    def values(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return what stored values stand for."""
        return stored == b"T" if self.logical else scaled(stored, self.scale, self.zero)


def read_columns(cards: Mapping[str, str]) -> list[FitsColumn]:
    """Return the columns of a table's header; ValueError where they do not fill its rows."""
    size = int(cards["NAXIS1"])
    columns = [FitsColumn.of(cards, number + 1) for number in range(int(cards["TFIELDS"]))]
    if not size or size != sum(column.stored.itemsize for column in columns):
        raise ValueError(f"its columns do not fill its rows of {size} bytes")
    return columns


def row_type(columns: Sequence[FitsColumn]) -> np.dtype[Any]:
    """Return the type of a row of a table, as it is in the file."""
    return np.dtype([(column.name, column.stored) for column in columns])


def scaled(stored: NDArray[Any], scale: float, zero: float) -> NDArray[Any]:
    """Return the numbers that stored ones stand for; unsigned integers are stored as signed."""
    if (scale, zero) == (1, 0):
        return stored
    native = stored.astype(stored.dtype.newbyteorder("="))
    half = 1 << (8 * stored.dtype.itemsize - 1)
    if scale == 1 and stored.dtype.kind == "i" and zero == half:
        unsigned = np.dtype(f"u{stored.dtype.itemsize}")
        return native.view(unsigned) ^ unsigned.type(half)
    if scale == 1 and stored.dtype.kind == "u" and zero == -half:
        return (native ^ np.uint8(half)).view(np.int8)
    return native * np.float64(scale) + zero


def number_of(text: str) -> float:
    """Return the number that a card has, whose exponent may be marked by D."""
    return float(text.replace("D", "E"))
