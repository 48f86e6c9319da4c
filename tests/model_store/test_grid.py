"""The grid's bins are equal and between its edges; impossible grids are rejected."""

from typing import Any

import numpy as np
import pytest

from model_store.grid import RestGrid


def test_bins_are_equal_and_between_the_outer_edges() -> None:
    grid = RestGrid(3600, 4000, 8)
    np.testing.assert_allclose(np.diff(grid.edges), 50)
    np.testing.assert_allclose(grid.edges[[0, -1]], [3600, 4000])
    np.testing.assert_allclose(grid.wave[[0, -1]], [3625, 3975])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"first": 7000, "last": 3600}, r"first = 7000\.0 is not below last = 3600\.0"),
        ({"bins": 0}, "greater than or equal to 1"),
        ({"first": -1}, "greater than 0"),
        ({"last": np.inf}, "finite"),
    ],
)
def test_an_impossible_grid_is_rejected(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RestGrid(**values)
