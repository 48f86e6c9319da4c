"""Scores join and count as the design says."""

import dataclasses

import numpy as np
import pytest

from outcrop import Scores, Status, eligible
from tests.outcrop_sdk.sample import some_scores, some_spectra


@pytest.mark.parametrize(
    ("status", "snr", "counts"),
    [
        (Status(0), 9.0, True),
        (Status.LOW_SNR | Status.MISSING_CAMERA | Status.BAD_PIXELS, 1.0, True),
        (Status.DUPLICATE | Status.IN_TRAINING | Status.EXTRAPOLATED, 2.0, True),
        (Status.LOW_SNR, 0.99, False),
        (Status(0), np.nan, False),
        *(
            (bit, 9.0, False)
            for bit in (
                *(Status.NO_DATA, Status.NO_REDSHIFT, Status.Z_OUT_OF_RANGE, Status.NOT_TARGET),
                *(Status.BAD_FIBER, Status.LOW_COVERAGE, Status.NO_SPECTRUM),
            )
        ),
    ],
)
def test_eligibility(status: Status, snr: float, counts: bool) -> None:
    assert eligible(np.array([status], np.int32), np.array([snr])).tolist() == [counts]


def test_chunks_join_in_their_order() -> None:
    whole = some_scores(some_spectra(5), reconstruction=True)
    spectra = some_spectra(5)
    parts = [some_scores(spectra.rows(s), True) for s in (slice(0, 3), slice(3, 5))]
    joined = Scores.concatenate(parts)
    for name, column in whole.columns().items():
        np.testing.assert_array_equal(joined.columns()[name], column)


def test_a_column_of_another_length_is_refused_by_name() -> None:
    scores = some_scores(some_spectra(3))
    with pytest.raises(ValueError, match="wmse has 2 rows"):
        dataclasses.replace(scores, wmse=scores.wmse[:2])
