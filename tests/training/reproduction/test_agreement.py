"""A spectrum of the paper agrees if it is found, and is said to be what the paper says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from training.reproduction.agreement import ComparedSpectrum, Found
from training.reproduction.published import PublishedSpectrum
from training.reproduction.recipe_scores import rank_among
from training.reproduction.report import _described  # pyright: ignore[reportPrivateUsage]

FOUND = Found(
    z=0.1,
    spectype="GALAXY",
    snr=33.0,
    wmse=1.2,
    nof=-1.0,
    p_value=0.5,
    rank={"wmse": 700, "nof": 800, "p_value": 900},
    trained_on=True,
)
OUTLIER = PublishedSpectrum(targetid=1, figure="10", what="a star", rank=1)
INLIER = PublishedSpectrum(targetid=1, figure="2", what="a galaxy", snr=33.0, wmse=1.2)


def test_a_spectrum_without_a_p_value_is_not_the_most_anomalous() -> None:
    values = np.array([0.3, np.nan, 0.1])
    assert [rank_among(values, value) for value in values] == [2, None, 1]
    faint = replace(FOUND, p_value=math.nan, rank={"wmse": 700, "nof": 800, "p_value": None})
    assert "– (–)" in _described(faint)
    assert not agrees(OUTLIER, replace(FOUND, rank={"wmse": None, "nof": 1, "p_value": 1}))


def agrees(paper: PublishedSpectrum, *found: Found | None, spectra: int = 1000) -> bool:
    return ComparedSpectrum(paper, found, spectra).agrees


@pytest.mark.parametrize(("rank", "expected"), [(1, True), (10, True), (11, False), (1000, False)])
def test_an_outlier_is_among_the_hundredth_with_the_largest_wmse(rank: int, expected: bool) -> None:
    ranked = replace(FOUND, rank={"wmse": rank, "nof": 1, "p_value": 1})
    assert agrees(OUTLIER, ranked) is expected
    # Only the first recipe, the paper's, is compared.
    assert agrees(OUTLIER, ranked, None) is expected


@pytest.mark.parametrize("paper", [OUTLIER, INLIER])
def test_what_is_not_in_the_sample_does_not_agree(paper: PublishedSpectrum) -> None:
    assert not agrees(paper, None, FOUND)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"snr": 33 * 1.14}, True),
        ({"snr": 33 * 1.16}, False),
        ({"wmse": 1.2 * 0.81}, True),
        ({"wmse": 1.2 * 0.79}, False),
        ({"wmse": float("nan")}, False),
        ({"nof": -9.0}, True),
    ],
)
def test_an_inlier_has_its_snr_and_its_wmse(changes: dict[str, float], expected: bool) -> None:
    assert agrees(INLIER, replace(FOUND, **changes)) is expected


def test_an_inlier_of_which_the_paper_says_no_more_need_only_be_there() -> None:
    assert agrees(PublishedSpectrum(targetid=1, figure="3", what="a galaxy"), FOUND)
