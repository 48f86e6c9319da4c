"""A selection chooses eligible rows of a table, the smallest p_value first."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from outcrop.night.selection import FLAGGED, Selection

TABLE: dict[str, Any] = {
    "TARGETID": np.array([7, 8, 9, 7, 10, 11]),
    "P_VALUE": np.array([0.5, 0.002, 0.02, 0.001, 0.0001, np.nan]),
    "ANOMALY": np.array([False, True, False, True, True, True]),
    "SPECTYPE": np.array(["QSO", "STAR", "QSO", "QSO", "STAR", "STAR"]),
    "SNR": np.array([9.0, 3.0, 7.0, 6.0, 9.0, 9.0]),
}
# Row 4 has a redshift out of range, for instance.
ELIGIBLE = np.array([True, True, True, True, False, True])


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (FLAGGED, [3, 1]),
        (Selection(max_p=1), [3, 1, 2]),
        (Selection(max_p=1, every_spectrum=True), [3, 1, 2, 0]),
        (Selection(max_p=0.02), [3, 1]),
        (Selection(max_p=1, spectype="QSO"), [3, 2]),
        (Selection(max_p=1, min_snr=6), [3, 2]),
        (Selection(max_p=1, number=2), [3, 1]),
        (Selection(max_p=1, number=3, every_spectrum=True), [3, 1, 2]),
        (Selection(max_p=1e-9), []),
    ],
)
def test_rows_are_chosen_by_every_condition(selection: Selection, rows: list[int]) -> None:
    assert listed(selection).tolist() == rows


def listed(selection: Selection, set_apart: Sequence[int] = ()) -> NDArray[np.intp]:
    """Return the rows of the table that are listed, in order."""
    chosen = np.flatnonzero(selection.chosen(TABLE, ELIGIBLE))
    apart = np.isin(chosen, set_apart)
    return chosen[selection.listed(TABLE["TARGETID"][chosen], TABLE["P_VALUE"][chosen], apart)]


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (FLAGGED, [1, 3]),
        # Row 0 is of the target of row 3, and not set apart.
        (Selection(max_p=1), [1, 2, 0]),
        (Selection(max_p=1, every_spectrum=True), [1, 2, 0, 3]),
        (Selection(max_p=1, number=1, every_spectrum=True), [1, 3]),
    ],
)
def test_rows_that_are_set_apart_come_last_and_are_counted_by_themselves(
    selection: Selection, rows: list[int]
) -> None:
    assert listed(selection, [3]).tolist() == rows


def test_its_text_names_every_condition() -> None:
    selection = Selection(0.001, "QSO", 5, 20, every_spectrum=True)
    assert str(selection) == "p < 0.001, QSO, S/N >= 5; every spectrum, at most 20"
    assert str(FLAGGED) == "flagged; one spectrum of each target, at most 100"
