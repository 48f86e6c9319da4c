"""Causes are counted, and one of the instrument that dominates is named."""

import pytest

from outcrop.night.causes import count_causes, describe_causes, dominant


def test_causes_are_counted_the_most_frequent_first_and_ties_in_their_order() -> None:
    counts = count_causes(["rare", "", "later", "absorption", "sky_residual", "sky_residual"])
    assert list(counts.items()) == [
        ("sky_residual", 2),
        ("absorption", 1),
        ("rare", 1),
        ("later", 1),
    ]
    assert describe_causes(counts) == "2 sky_residual, 1 absorption, 1 rare, 1 later"
    assert count_causes(["", ""]) == {}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"sky_residual": 6, "rare": 5}, "sky_residual"),
        ({"sky_residual": 5, "rare": 5}, ""),
        ({"cosmic_ray": 4}, ""),
        ({"emission_line": 20}, ""),
        ({}, ""),
    ],
)
def test_an_instrumental_cause_dominates_above_half_of_five_or_more(
    counts: dict[str, int], expected: str
) -> None:
    assert dominant(counts) == expected
