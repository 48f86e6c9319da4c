"""The columns of a score table are fields of scores or spectra, each with its description."""

from dataclasses import fields

import pytest

from outcrop import Explanation, Scores, Spectra
from outcrop.columns import (
    COLUMNS,
    EVIDENCE_COLUMNS,
    EXPLANATION_COLUMNS,
    SEGMENT_COLUMNS,
    Column,
)


def test_every_column_is_a_field_of_the_scores_or_of_the_spectra() -> None:
    of_scores = {field.name for field in fields(Scores)}
    of_spectra = {field.name for field in fields(Spectra)}
    for column in COLUMNS:
        assert column.field in (of_scores if column.unknown is None else of_spectra)
        assert column.description


def test_every_column_of_an_explanation_is_a_field_of_it() -> None:
    assert {column.field for column in EXPLANATION_COLUMNS} <= {
        field.name for field in fields(Explanation)
    }


@pytest.mark.parametrize(
    "columns", [COLUMNS + EXPLANATION_COLUMNS, EVIDENCE_COLUMNS, SEGMENT_COLUMNS]
)
def test_names_are_unique_and_of_the_length_that_fits_allows(columns: tuple[Column, ...]) -> None:
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    # With the keyword and the quotes a card has 68 characters left.
    assert all(len(column.name) + len(column.description) < 60 for column in columns)
