"""A spectrum of any numbers gets a row with status bits, and its neighbours keep their scores."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop import Client, Scores, Spectra
from outcrop.spectra import CAMERAS
from scoring.scorer import MIN_COVERAGE
from tests.service.conftest import ServedProcess
from tests.service.helpers import make_spectra
from tests.service.hostile import (
    assert_hostile_spectra_are_answered,
    assert_json_of_gaps_is_answered,
)

ODD = st.sampled_from(
    [np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 1e-45, 1e-30, 7.0, 1e10, 1e20, 3e38, -3e38]
) | st.floats(width=32)
KEPT = (0, 2)


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """Return changes to a spectrum: its redshift, and pixels of some cameras."""
    spoils = [
        (camera, kind, draw(st.integers(0, 2700)), draw(st.integers(1, 2750)), draw(ODD))
        for camera in CAMERAS
        for kind in ("flux", "ivar")
        if draw(st.booleans())
    ]
    z = draw(st.sampled_from([0.1, 0.0, -0.002, 0.3]) | st.floats())
    return {"spoils": spoils, "scale": draw(st.sampled_from([1.0, 1e-30, 1e30])), "z": z}


def spoilt(spectra: Spectra, spoils: list[Any], scale: float, z: float) -> Spectra:
    for band in spectra.bands.values():
        band.flux[1] *= np.float32(scale)
    for camera, kind, first, count, value in spoils:
        getattr(spectra.bands[camera], kind)[1, first : first + count] = value
    spectra.z[1] = z
    return spectra


def assert_neighbours_kept(found: Scores, expected: Scores) -> None:
    for name, column in expected.columns().items():
        answered = getattr(found, name)
        for row in KEPT:
            np.testing.assert_array_equal(answered[row], column[row], err_msg=name)


def test_any_numbers_give_a_row_and_do_not_change_the_neighbours(
    served: ServedProcess,
) -> None:
    with Client(served.url) as client:
        plain = client.score(make_spectra(3), reconstruction=True)
        assert np.isfinite([plain.wmse, plain.nof]).all()

        @given(changes())
        @settings(deadline=None, max_examples=200)
        def try_it(change: dict[str, Any]) -> None:
            scores = client.score(spoilt(make_spectra(3), **change), reconstruction=True)
            if not np.isfinite([scores.wmse[1], scores.nof[1]]).all():
                assert scores.status[1]
            if scores.coverage[1] < MIN_COVERAGE:
                assert np.isnan([scores.wmse[1], scores.nof[1], scores.p_value[1]]).all()
            if np.isnan(scores.p_value[1]):
                assert scores.status[1] or not scores.snr[1] >= 1
                assert not scores.anomaly[1]
            assert_neighbours_kept(scores, plain)

        try_it()


def test_a_spectrum_without_a_good_pixel_has_status_bits_and_no_scores(
    served: ServedProcess,
) -> None:
    with Client(served.url) as client:
        plain = client.score(make_spectra(3))
        for kind, value in (("ivar", 0.0), ("ivar", -1.0), ("flux", np.nan), ("ivar", np.nan)):
            spectra = make_spectra(3)
            for band in spectra.bands.values():
                getattr(band, kind)[1] = value
            scores = client.score(spectra)
            assert scores.status[1]
            assert np.isnan([scores.wmse[1], scores.nof[1], scores.p_value[1]]).all()
            assert scores.coverage[1] == 0
            assert_neighbours_kept(scores, plain)


def test_2000_hostile_spectra_get_their_rows(served: ServedProcess) -> None:
    assert_hostile_spectra_are_answered(served, 2000)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_200000_hostile_spectra_get_their_rows(served: ServedProcess) -> None:
    assert_hostile_spectra_are_answered(served, 200_000)


def test_json_of_nulls_and_of_gaps_is_answered_in_turn(served: ServedProcess) -> None:
    assert_json_of_gaps_is_answered(served, 300)
