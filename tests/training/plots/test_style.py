"""Numbers are printed alike everywhere."""

import numpy as np
import pytest

from training.plots import style


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.0123"),
        (-4.284, "−4.28"),
        (1530.2, "1530"),
        (1.2e-7, "1.2 × 10⁻⁷"),
        (np.nan, "–"),
    ],
)
def test_numbers_are_printed_in_three_digits(value: float, text: str) -> None:
    assert style.number(value) == text


@pytest.mark.parametrize(
    ("z", "text"), [(0.12345, "0.1235"), (-0.00001, "0.0000"), (-0.1, "−0.1000")]
)
def test_redshifts_have_four_decimals(z: float, text: str) -> None:
    assert style.redshift(z) == text
