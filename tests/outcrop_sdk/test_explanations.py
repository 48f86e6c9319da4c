"""Explanations are rows in the order of the input, and the causes have no doubles."""

from outcrop import CAUSES, INSTRUMENTAL, Explanation
from tests.outcrop_sdk.sample import some_explanations, some_model, some_spectra


def test_rows_are_counted_iterated_and_chosen() -> None:
    explanations = some_explanations(some_spectra(4))
    assert len(explanations) == 4
    assert [one.targetid for one in explanations] == [1, 2, 3, 4]
    assert isinstance(explanations[-1], Explanation)
    assert explanations[-1].targetid == 4

    part = explanations[1:3]
    assert [one.targetid for one in part] == [2, 3]
    assert part.model == some_model().identity


def test_instrumental_causes_are_some_of_the_causes() -> None:
    assert len(set(CAUSES)) == len(CAUSES)
    assert set(INSTRUMENTAL) < set(CAUSES)
