"""A selection copies scores, not spectra."""

import numpy as np
import pytest

from tests.training.plots.helpers import make_sample


@pytest.mark.parametrize(
    ("score", "expected"), [("p_value", [2, 1]), ("nof", [3, 1]), ("wmse", [1, 3])]
)
def test_the_most_anomalous_come_first(score: str, expected: list[int]) -> None:
    sample = make_sample(
        np.ones((3, 10)),
        p_value=np.array([0.2, 0.1, 0.3]),
        nof=np.array([-2, -1, -3], np.float32),
        wmse=np.array([9, 1, 5], np.float32),
    )
    assert sample.most_anomalous(score, 2).targetid.tolist() == expected


def test_selected_rows_keep_their_spectra_without_copying_them() -> None:
    sample = make_sample(np.arange(3)[:, None] * np.ones((3, 10)))
    chosen = sample.rows(np.array([2, 1])).rows(np.array([True, False]))
    assert len(chosen) == 1
    assert chosen.spectra is sample.spectra
    flux, ivar, model = chosen.spectrum(0)
    np.testing.assert_array_equal(flux, np.full(10, 2))
    np.testing.assert_array_equal(ivar, np.ones(10))
    np.testing.assert_array_equal(model, flux)


def test_bright_spectra_have_an_snr_of_at_least_5() -> None:
    sample = make_sample(np.ones((3, 10)), snr=np.array([4.9, 5, 6], np.float32))
    assert sample.bright.targetid.tolist() == [2, 3]
