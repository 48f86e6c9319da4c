"""The flagged spectra of a petal are explained, and only they."""

import dataclasses
import logging

import numpy as np
import pytest

from outcrop import Explanations, ModelChanged, Spectra
from outcrop.flagged import explain_flagged, rows_to_explain
from tests.outcrop_sdk.sample import some_explanation, some_model, some_scores, some_spectra


def explain(spectra: Spectra) -> Explanations:
    rows = tuple(some_explanation(one) for one in spectra.targetid.tolist())
    return Explanations(some_model().identity, rows)


def test_flagged_spectra_are_explained_and_the_others_are_not() -> None:
    spectra = some_spectra(7)
    scores = some_scores(spectra)
    found = explain_flagged(explain, spectra, scores)
    assert [one.targetid for one in found] == spectra.targetid.tolist()
    assert [one.targetid for one in found if one.cause] == [3, 6]
    assert found[2] == some_explanation(3)
    assert [one.status for one in found if not one.cause] == [0, 1, 3, 4, 6]
    np.testing.assert_array_equal([one.p_value for one in found], scores.p_value)


def test_a_petal_without_flags_asks_for_no_explanation() -> None:
    def fail(spectra: Spectra) -> Explanations:
        raise AssertionError(f"{len(spectra)} spectra")

    found = explain_flagged(fail, some_spectra(2), some_scores(some_spectra(2)))
    assert [one.cause for one in found] == ["", ""]


def test_of_too_many_flagged_spectra_the_most_anomalous_are_explained(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("outcrop.flagged.EXPLAINED", 2)
    spectra = some_spectra(12)
    scores = some_scores(spectra)
    # Flagged are 3, 6, 9 and 12, and p_value falls with TARGETID.
    assert rows_to_explain(scores).tolist() == [8, 11]
    with caplog.at_level(logging.WARNING):
        found = explain_flagged(explain, spectra, scores)
    assert [one.targetid for one in found if one.cause] == [9, 12]
    assert "4 spectra are flagged; the 2 with the smallest p_value are explained" in caplog.text


def test_explanations_of_another_model_are_refused() -> None:
    spectra = some_spectra(3)
    other = dataclasses.replace(some_model(), version="20260202").identity
    with pytest.raises(ModelChanged, match="to outcrop 20260202"):
        explain_flagged(
            lambda chosen: dataclasses.replace(explain(chosen), model=other),
            spectra,
            some_scores(spectra),
        )
