"""FITS catalogue: the rows of one survey and program, as a value-added catalogue of DESI.

It is written block by block, so that its size does not matter.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from outcrop.columns import Column

from .provenance import Provenance

EXTNAME: Final = "OUTLIERS"
_BLOCK: Final = 2880
_TYPES: Final = {"K": ">i8", "J": ">i4", "D": ">f8", "E": ">f4", "L": "u1"}


class FitsCatalogue:
    """A catalogue that is being written; a context manager.

    Parameters
    ----------
    path : Path
    columns : sequence of Column
    widths : mapping of str to int
        Of the columns of strings whose values may be longer than their format, and of LATENT.
    rows : int
        Number of all rows that will be written.
    provenance : Provenance
    partition : (str, str)
        Survey and program.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[Column],
        widths: Mapping[str, int],
        rows: int,
        provenance: Provenance,
        partition: tuple[str, str],
    ) -> None:
        self.path = path
        self._columns = columns
        formats = {column.name: _format(column, widths) for column in columns}
        self._dtype = np.dtype([_field(name, form) for name, form in formats.items()])
        self._header = _header(columns, formats, rows, provenance, partition)
        self._rows, self._written = rows, 0

    def __enter__(self) -> "FitsCatalogue":
        self._stream: BinaryIO = self.path.open("xb")
        self._stream.write(self._header)
        return self

    def write(self, block: Mapping[str, NDArray[Any]]) -> None:
        """Write the next rows, given the columns by name."""
        length = len(next(iter(block.values())))
        rows = np.empty(length, self._dtype)
        for column in self._columns:
            values = block[column.name]
            if column.format == "L":
                values = np.where(values, ord("T"), ord("F"))
            rows[column.name] = values.reshape(rows[column.name].shape)
        rows.tofile(self._stream)
        self._written += length

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stream:
            self._stream.write(bytes(-self._stream.tell() % _BLOCK))
        if kind is None and self._written != self._rows:
            raise RuntimeError(f"{self.path}: {self._written} of {self._rows} rows were written")


def _format(column: Column, widths: Mapping[str, int]) -> str:
    form = column.format
    if form.endswith("A"):
        return f"{max(int(form[:-1]), widths.get(column.name, 1))}A"
    return f"{widths[column.name]}{form}" if column.name in widths else form


def _field(name: str, form: str) -> tuple[Any, ...]:
    if form.endswith("A"):
        return name, f"S{form[:-1]}"
    number = int(form[:-1] or 1)
    return (name, _TYPES[form[-1]], *((number,) if number > 1 else ()))


def _header(
    columns: Sequence[Column],
    formats: Mapping[str, str],
    rows: int,
    provenance: Provenance,
    partition: tuple[str, str],
) -> bytes:
    """Return all that comes before the rows."""
    from astropy.io import fits

    primary: Any = fits.PrimaryHDU()
    made = [
        fits.Column(name=each.name, format=formats[each.name], unit=each.unit) for each in columns
    ]
    table: Any = fits.BinTableHDU.from_columns(made, nrows=0, name=EXTNAME)
    table.header["NAXIS2"] = rows
    for number, column in enumerate(columns, start=1):
        table.header.comments[f"TTYPE{number}"] = column.description
        table.header.set(f"TCOMM{number}", column.description, after=f"TFORM{number}")

    survey, program = partition
    for header in (primary.header, table.header):
        header.append(("SURVEY", survey, "DESI survey"), end=True)
        header.append(("PROGRAM", program, "DESI program"), end=True)
        for card in provenance.header_cards():
            header.append(card, end=True)
    content = io.BytesIO()
    content.write(primary.header.tostring().encode("ascii"))
    content.write(table.header.tostring().encode("ascii"))
    return content.getvalue()
