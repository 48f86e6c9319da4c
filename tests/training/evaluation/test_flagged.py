"""Flagged numbers and errors by S/N and class are those of the served scores."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model_store.bundle import Bundle, Manifest
from outcrop import Scores
from outcrop.scores import INELIGIBLE, Status
from training.evaluation.flagged import (
    TOO_FAINT,
    error_by_class,
    flagged_by_class,
    flagged_by_petal,
    left_out_by_bit,
)
from training.evaluation.metrics import flagged_interval
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


def test_each_class_has_the_number_that_its_calibration_spectra_allow(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_], bundle: Path
) -> None:
    counts = Bundle.open(bundle).manifest.calibration.counts
    inlier = served.eligible & (kind == "")
    for name, found in result.flagged_by_spectype.items():
        key = "calibration" if name == "all" else f"calibration_{name}"
        assert found.n_calibration == counts[key]
        bounds = flagged_interval(found.n, counts[key])
        assert (found.flagged_min, found.flagged_max) == bounds
        expected = bounds[0] <= found.flagged <= bounds[1] if found.n else None
        assert found.within is expected
    everything = result.flagged_by_spectype["all"]
    assert (everything.n, everything.flagged) == (inlier.sum(), served.anomaly[inlier].sum())


def test_a_small_class_may_be_flagged_more_often_than_a_large_one(bundle: Path) -> None:
    manifest = with_counts(Bundle.open(bundle).manifest, {"calibration_STAR": 100})
    spectype = np.full(1000, "STAR")
    star = flagged_by_class(manifest, spectype, np.arange(1000) < 30, inlier=True)["STAR"]
    assert star.within
    assert star.flagged_max > 30

    without = with_counts(manifest, {})
    star = flagged_by_class(without, spectype, np.arange(1000) < 30, inlier=True)["STAR"]
    assert star.n_calibration is None
    # 30 of 1000 are five standard deviations more than the exact 1 %.
    assert not star.within


def with_counts(manifest: Manifest, classes: dict[str, int]) -> Manifest:
    """Return the manifest with 5000 calibration spectra, of these classes."""
    counts = {"calibration": 5000, "faint": 0} | classes
    entry = manifest.calibration.model_copy(update={"counts": counts})
    return manifest.model_copy(update={"calibration": entry})


def test_petals_are_compared_by_their_shares() -> None:
    petal = np.repeat(np.arange(11), 100)
    # Petal 0 flags none, petal 10 ten.
    flagged = np.arange(1100) % 100 < petal
    found = flagged_by_petal(petal, flagged)
    assert found.petals == 11
    assert (found.median, found.p90, found.maximum) == pytest.approx((0.05, 0.09, 0.1))
    assert flagged_by_petal(petal[:0], flagged[:0]).maximum is None


def test_petals_of_the_sky_are_counted(result: LabelledEvaluation) -> None:
    # One petal: its share is that of all.
    found = result.flagged_by_petal
    assert found.petals == 1
    assert found.maximum == result.flagged_by_spectype["all"].share


def test_every_row_is_eligible_or_left_out_for_a_reason(
    result: LabelledEvaluation, served: Scores
) -> None:
    counts, left = result.counts, served[~served.eligible]
    assert counts.rows == len(served)
    assert counts.eligible == served.eligible.sum()
    for name, found in counts.left_out.items():
        if name != TOO_FAINT:
            assert found.n == ((left.status & int(Status[name])) != 0).sum()
    # The odd sky has targets of another survey.
    assert counts.left_out["OUT_OF_POPULATION"].n > 0
    assert {found.flagged for found in counts.left_out.values()} == {0}


def test_reasons_by_hand() -> None:
    both = Status.EXTRAPOLATED | Status.OUT_OF_POPULATION
    status = np.array([both, Status.EXTRAPOLATED, Status.LOW_SNR], np.int32)
    found = left_out_by_bit(status, np.array([False, True, False]))
    assert set(found) == {str(bit) for bit in Status if bit & INELIGIBLE} | {TOO_FAINT}
    assert (found["EXTRAPOLATED"].n, found["EXTRAPOLATED"].flagged) == (2, 1)
    assert (found["OUT_OF_POPULATION"].n, found["OUT_OF_POPULATION"].flagged) == (1, 0)
    assert (found[TOO_FAINT].n, found["NO_DATA"].n) == (1, 0)


def test_spectra_that_fit_too_well_are_the_served_ones(
    result: LabelledEvaluation, served: Scores, kind: NDArray[np.str_]
) -> None:
    inlier = served.eligible & (kind == "")
    too_good = (served.status[inlier] & int(Status.TOO_GOOD)) != 0
    assert (result.too_good.n, result.too_good.flagged) == (inlier.sum(), too_good.sum())


def test_shares_and_errors_by_hand(bundle: Path) -> None:
    spectype = np.array(["GALAXY", "GALAXY", "GALAXY", "STAR", "STAR"])
    flagged = np.array([True, False, False, True, True])
    manifest = Bundle.open(bundle).manifest
    shares = flagged_by_class(manifest, spectype, flagged, inlier=False)
    assert list(shares) == ["all", "GALAXY", "QSO", "STAR"]
    assert (shares["all"].flagged, shares["all"].share) == (3, 0.6)
    assert (shares["STAR"].n, shares["STAR"].share) == (2, 1.0)
    assert (shares["QSO"].n, shares["QSO"].share) == (0, None)
    assert shares["all"].within is None

    snr = np.array([6.0, 7.0, 4.0, 8.0, 9.0])
    errors = error_by_class(spectype, snr, np.array([1.0, 2.0, 50.0, 3.0, 4.0]))
    # The galaxy with S/N 4 does not count.
    assert (errors["GALAXY"].n, errors["GALAXY"].mean) == (2, pytest.approx(1.5))
    assert errors["STAR"].median == pytest.approx(3.5)
    assert errors["QSO"].mean is None
