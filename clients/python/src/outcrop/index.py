"""Index: which rows of spectra or scores to choose."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Index: TypeAlias = (
    int | slice | Sequence[int] | Sequence[bool] | NDArray[np.integer] | NDArray[np.bool_]
)
"""A row, a slice, a mask with one value per row, or row numbers in the wanted order."""


def to_rows(index: Index, length: int) -> Any:
    """Return an index that keeps the dimension of rows: a single row becomes a slice.

    Raises
    ------
    IndexError
        Where there is no such row.

    Examples
    --------
    >>> from outcrop.index import to_rows
    >>> to_rows(-1, 5), to_rows(slice(0, 2), 5)
    (slice(4, 5, None), slice(0, 2, None))
    """
    if isinstance(index, int | np.integer):
        row = range(length)[int(index)]
        return slice(row, row + 1)
    return index
