"""Scores are joined and counted as the design states."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop import ModelChanged, Scores, Status, eligible
from outcrop.scores import FLAGS, ON_REQUEST
from tests.outcrop_sdk.sample import some_model, some_scores, some_spectra


@pytest.mark.parametrize(
    ("status", "snr", "counts"),
    [
        (Status(0), 9.0, True),
        (Status.LOW_SNR | Status.MISSING_CAMERA | Status.BAD_PIXELS, 1.0, True),
        (Status.DUPLICATE | Status.IN_TRAINING | Status.TOO_GOOD, 2.0, True),
        (Status.LOW_SNR, 0.99, False),
        (Status(0), np.nan, False),
        *(
            (bit, 9.0, False)
            for bit in (
                *(Status.NO_DATA, Status.NO_REDSHIFT, Status.Z_OUT_OF_RANGE, Status.NOT_TARGET),
                *(Status.BAD_FIBER, Status.LOW_COVERAGE, Status.NO_SPECTRUM),
                *(Status.EXTRAPOLATED, Status.OUT_OF_POPULATION, Status.NOT_SCORED),
            )
        ),
    ],
)
def test_eligibility_depends_on_status_and_snr(status: Status, snr: float, counts: bool) -> None:
    assert eligible(np.array([status], np.int32), np.array([snr])).tolist() == [counts]


def test_columns_are_the_arrays_and_not_the_model() -> None:
    without, complete = (some_scores(some_spectra(2), flag).columns() for flag in (False, True))
    assert set(complete) - set(without) == set(ON_REQUEST)
    assert "model" not in complete
    assert {name for name, column in complete.items() if column.dtype == np.bool_} == set(FLAGS)


def test_chunks_are_joined_in_their_order() -> None:
    spectra = some_spectra(5)
    complete = some_scores(spectra, reconstruction=True)
    parts = [some_scores(spectra[s], True) for s in (slice(0, 3), slice(3, 5))]
    joined = Scores.concatenate(parts)
    assert joined.model == complete.model
    for name, column in complete.columns().items():
        np.testing.assert_array_equal(joined.columns()[name], column)


def test_scores_of_two_models_are_never_joined() -> None:
    spectra = some_spectra(2)
    other = dataclasses.replace(some_model(), sha256="cd" * 32).identity
    with pytest.raises(ModelChanged, match=r"the service changed its model .*; score again"):
        Scores.concatenate([some_scores(spectra), some_scores(spectra, model=other)])


def test_rows_are_chosen_in_the_order_of_the_index() -> None:
    scores = some_scores(some_spectra(4), reconstruction=True)
    chosen = scores[np.array([2, 0])]
    assert chosen.model == scores.model
    for name, column in scores.columns().items():
        np.testing.assert_array_equal(chosen.columns()[name], column[[2, 0]])


def test_slices_masks_and_single_rows_choose_scores() -> None:
    scores = some_scores(some_spectra(4))
    assert scores[1:3].targetid.tolist() == [2, 3]
    assert scores[scores.anomaly].targetid.tolist() == [3]
    assert scores[-1].targetid.tolist() == [4]
    assert scores[scores.p_value.argsort()[:2]].targetid.tolist() == [4, 3]


def test_status_is_printed_and_formatted_by_its_names() -> None:
    status = Status.NO_DATA | Status.LOW_SNR
    assert str(status) == f"{status}" == "NO_DATA|LOW_SNR"
    assert f"{status:d}" == "33"
    assert str(Status(0)) == "none"
    assert [str(bit) for bit in Status] == [bit.name for bit in Status]


def test_a_bit_of_a_newer_service_is_printed_by_its_number() -> None:
    assert str(Status(1 << 30 | 1)) == "NO_DATA|bit 30"


def test_the_repr_counts() -> None:
    scores = some_scores(some_spectra(12), reconstruction=True)
    assert repr(scores) == (
        "<Scores: 12 spectra, 2 eligible, 4 anomalies, with reconstructions; "
        "model outcrop 20260101 (sha256 abababab); "
        "status: 6 NO_DATA, 6 NO_REDSHIFT, 4 Z_OUT_OF_RANGE>"
    )


def test_the_table_has_units_descriptions_and_the_model() -> None:
    scores = some_scores(some_spectra(3), reconstruction=True)
    table: Any = scores.to_table()
    expected = scores.columns()
    assert set(table.colnames) == {name.upper() for name in set(expected) - set(ON_REQUEST)}
    for name in table.colnames:
        np.testing.assert_array_equal(table[name], expected[name.lower()])
        assert table[name].description
    assert table["NORM"].unit.to("erg / (s cm2 Angstrom)") == pytest.approx(1e-17)
    assert table.meta == {"MODEL": "outcrop", "MODELVER": "20260101", "MODELSHA": "ab" * 32}
    table["SNR"][0] = -1
    assert scores.snr[0] == 9


def test_the_table_can_be_written_as_csv_without_the_latents(tmp_path: Path) -> None:
    table: Any = some_scores(some_spectra(3)).to_table()
    table.remove_column("LATENT")
    table.write(tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text().startswith("TARGETID,STATUS,SNR")


def test_a_column_of_another_length_is_refused_by_name() -> None:
    scores = some_scores(some_spectra(3))
    with pytest.raises(ValueError, match="wmse has 2 rows"):
        dataclasses.replace(scores, wmse=scores.wmse[:2])
