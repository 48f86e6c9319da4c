"""Flagged numbers and errors by S/N and class are those of the served scores."""

import numpy as np
import pytest
from numpy.typing import NDArray

from outcrop import Scores
from training.evaluation.flagged import error_by_class, flagged_by_class
from training.evaluation.results import LabelledEvaluation
from training.model.card import PAPER_WMSE


def test_each_quartile_of_snr_and_the_faintest_have_a_flagged_number(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    faint, *quartiles = result.calibration
    inlier = served.eligible & (kind == "")
    assert (faint.snr_min, faint.snr_max) == (1, 5)
    assert faint.n == (inlier & (served.snr < 5)).sum()
    assert len(quartiles) == 4
    assert sum(row.n for row in quartiles) == inlier.sum()
    assert sum(row.flagged for row in quartiles) == (inlier & (served.p_value < 0.01)).sum()
    for row in quartiles:
        assert row.within == (row.flagged_min <= row.flagged <= row.flagged_max)


def test_reconstruction_error_by_class_is_shown_with_the_papers(
    result: LabelledEvaluation,
) -> None:
    for name, paper in PAPER_WMSE.items():
        assert result.wmse_by_spectype[name].paper_mean == paper
    assert result.wmse_by_spectype["GALAXY"].n > 100


def test_shares_and_errors_by_hand() -> None:
    spectype = np.array(["GALAXY", "GALAXY", "GALAXY", "STAR", "STAR"])
    flagged = np.array([True, False, False, True, True])
    shares = flagged_by_class(spectype, flagged)
    assert list(shares) == ["all", "GALAXY", "QSO", "STAR"]
    assert (shares["all"].flagged, shares["all"].share) == (3, 0.6)
    assert (shares["STAR"].n, shares["STAR"].share) == (2, 1.0)
    assert (shares["QSO"].n, shares["QSO"].share) == (0, None)

    snr = np.array([6.0, 7.0, 4.0, 8.0, 9.0])
    errors = error_by_class(spectype, snr, np.array([1.0, 2.0, 50.0, 3.0, 4.0]))
    # The galaxy with S/N 4 does not count.
    assert (errors["GALAXY"].n, errors["GALAXY"].mean) == (2, pytest.approx(1.5))
    assert errors["STAR"].median == pytest.approx(3.5)
    assert errors["QSO"].mean is None
