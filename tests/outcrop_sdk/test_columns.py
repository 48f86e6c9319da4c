"""The columns of a score table are fields of scores or spectra, each with its description."""

from dataclasses import fields

from outcrop import Scores, Spectra
from outcrop.columns import COLUMNS


def test_every_column_is_a_field_of_the_scores_or_of_the_spectra() -> None:
    of_scores = {field.name for field in fields(Scores)}
    of_spectra = {field.name for field in fields(Spectra)}
    for column in COLUMNS:
        assert column.field in (of_scores if column.unknown is None else of_spectra)
        assert column.description


def test_names_are_unique_and_of_the_length_that_fits_allows() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    # With the keyword and the quotes a card has 68 characters left.
    assert all(len(column.name) + len(column.description) < 60 for column in COLUMNS)
