"""Every kind of index keeps the dimension of rows."""

from typing import Any

import numpy as np
import pytest

from outcrop.index import to_rows


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (1, [1]),
        (-1, [3]),
        (np.int64(2), [2]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        ([2, 0], [2, 0]),
        (np.array([2, 0, 2]), [2, 0, 2]),
        (np.array([True, False, False, True]), [0, 3]),
        ([], []),
    ],
)
def test_an_index_chooses_rows_in_its_order(index: Any, rows: list[int]) -> None:
    assert np.arange(4)[to_rows(index, 4)].tolist() == rows


@pytest.mark.parametrize("index", [4, -5])
def test_a_row_that_is_not_there_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        to_rows(index, 4)
