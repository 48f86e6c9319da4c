"""Agreement: each number and each spectrum of the paper beside ours, and whether they agree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .published import Published, PublishedNumber, PublishedSpectrum
from .recipe_scores import RecipeScores

FOUND_AGAIN: Final = 0.01
"""An outlier of the paper agrees if it is among this share of the spectra, by wmse."""
SNR_WITHIN: Final = 0.15
WMSE_WITHIN: Final = 0.2
"""Tolerances of single spectra, as shares: wmse varies with the fit, S/N with the reduction."""


@dataclass(frozen=True)
class ComparedNumber:
    """A number of the paper and those of the recipes.

    Attributes
    ----------
    paper : PublishedNumber
    found : tuple of float
        Of each recipe; NaN where there is none.
    """

    paper: PublishedNumber
    found: tuple[float, ...]

    @property
    def agrees(self) -> bool:
        """Whether that of the first recipe, the paper's, does."""
        return self.paper.agrees(self.found[0])


@dataclass(frozen=True)
class Found:
    """A spectrum of the paper in the sample of a recipe.

    Attributes
    ----------
    z : float
    spectype : str
    snr, wmse, nof, p_value : float
    rank : mapping of str to int
        By wmse, nof and p_value; 1 is the most anomalous, and None where the score is NaN.
    trained_on : bool
    """

    z: float
    spectype: str
    snr: float
    wmse: float
    nof: float
    p_value: float
    rank: dict[str, int | None]
    trained_on: bool


@dataclass(frozen=True)
class ComparedSpectrum:
    """A spectrum of the paper and what the recipes say of it.

    Attributes
    ----------
    paper : PublishedSpectrum
    found : tuple of Found
        Of each recipe; None where its sample does not have the spectrum.
    spectra : int
        Size of the first recipe's sample.
    """

    paper: PublishedSpectrum
    found: tuple[Found | None, ...]
    spectra: int

    @property
    def agrees(self) -> bool:
        """Whether the first recipe says of it what the paper says."""
        first, paper = self.found[0], self.paper
        if first is None:
            return False
        if paper.rank is not None:
            rank = first.rank["wmse"]
            return rank is not None and rank <= FOUND_AGAIN * self.spectra
        return all(
            value is None or abs(got / value - 1) <= within
            for value, got, within in (
                (paper.snr, first.snr, SNR_WITHIN),
                (paper.wmse, first.wmse, WMSE_WITHIN),
            )
        )


@dataclass(frozen=True)
class Agreement:
    """All that is compared.

    Attributes
    ----------
    numbers : list of ComparedNumber
    outliers, inliers : list of ComparedSpectrum
    """

    numbers: list[ComparedNumber]
    outliers: list[ComparedSpectrum]
    inliers: list[ComparedSpectrum]

    @staticmethod
    def of(published: Published, recipes: Sequence[RecipeScores]) -> "Agreement":
        """Compare the paper with recipes, of which the first is the paper's own."""
        numbers = [scores.numbers() for scores in recipes]
        return Agreement(
            [
                ComparedNumber(one, tuple(found.get(one.name, math.nan) for found in numbers))
                for one in published.number
            ],
            [_compared(one, recipes) for one in published.outliers],
            [_compared(one, recipes) for one in published.inliers],
        )

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return how many numbers, outliers and inliers agree, of how many."""
        parts = {"numbers": self.numbers, "outliers": self.outliers, "inliers": self.inliers}
        return {name: (sum(one.agrees for one in part), len(part)) for name, part in parts.items()}


def _compared(paper: PublishedSpectrum, recipes: Sequence[RecipeScores]) -> ComparedSpectrum:
    found = tuple(_find(paper.targetid, scores) for scores in recipes)
    return ComparedSpectrum(paper, found, int(recipes[0].bright.sum()))


def _find(targetid: int, scores: RecipeScores) -> Found | None:
    row = scores.place(targetid)
    if row is None:
        return None
    scored = scores.scored
    return Found(
        z=float(scored.rows["z"][row]),
        spectype=str(scored.rows["spectype"][row]),
        snr=float(scored.rows["snr"][row]),
        wmse=float(scored.wmse[row]),
        nof=float(scored.nof[row]),
        p_value=float(scores.p_value[row]),
        rank={score: scores.rank(row, score) for score in ("wmse", "nof", "p_value")},
        trained_on=bool(scored.index[row] in scores.parts.training),
    )
