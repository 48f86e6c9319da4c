"""Columns of a catalogue: those of score tables, with what identifies a row in a release."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop.columns import COLUMNS, EXPLANATION_COLUMNS, Column

HEALPIX_29: Final = Column("_healpix_29", "K", "HEALPix pixel of order 29, nested; -1 if unknown")
"""The column that HATS catalogues are sorted and joined by; of Parquet only."""
SURVEY: Final = Column("SURVEY", "7A", "DESI survey")
PROGRAM: Final = Column("PROGRAM", "6A", "DESI program")
HEALPIX: Final = Column("HEALPIX", "J", "HEALPix pixel, NSIDE 64, nested; -1 if unknown")
DESINAME: Final = Column("DESINAME", "22A", "name of the target; empty if not in zcatalog")
PRIMARY: Final = Column("PRIMARY", "L", "the row that counts for its target")
Q_VALUE: Final = Column("Q_VALUE", "D", "false discovery rate; NaN if not tested")

_KINDS: Final = {"K": np.int64, "J": np.int32, "D": np.float64, "E": np.float32, "L": np.bool_}
_VARYING: Final = "SENTENCE"


def catalogue_columns(explained: bool, named: bool) -> tuple[Column, ...]:
    """Return the columns of a catalogue in order, without `HEALPIX_29`.

    Parameters
    ----------
    explained : bool
        Whether there are explanations.
    named : bool
        Whether there are DESINAMEs, from a zcatalog.
    """
    targetid, *scores = COLUMNS
    return (
        *(targetid, SURVEY, PROGRAM, HEALPIX),
        *((DESINAME,) if named else ()),
        PRIMARY,
        *scores,
        Q_VALUE,
        *(EXPLANATION_COLUMNS if explained else ()),
    )


def of_fits(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return those that a FITS catalogue has: sentences would be blanks in nearly every row."""
    return tuple(column for column in columns if column.name != _VARYING)


def of_parquet(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return those that a Parquet file has: survey and program are in its folders' names."""
    return (HEALPIX_29, *(column for column in columns if column not in (SURVEY, PROGRAM)))


def native(column: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Return values in the type of a column: strings as bytes, numbers native."""
    if column.format.endswith("A"):
        return values.astype(np.bytes_)
    return values.astype(_KINDS[column.format], copy=False)


def unknown(column: Column, rows: int) -> NDArray[Any]:
    """Return the values of a column that is not known: empty strings, NaN or −1."""
    if column.format.endswith("A"):
        return np.full(rows, b"")
    kind = _KINDS[column.format]
    return np.full(rows, np.nan if np.issubdtype(kind, np.floating) else -1).astype(kind)
