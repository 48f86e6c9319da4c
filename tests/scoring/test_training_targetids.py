"""TARGETIDs of the training sample are recognised, in bundles of both format versions."""

from pathlib import Path

import numpy as np
import pytest

from model_store.bundle import Bundle
from scoring.training_targetids import TrainingTargetids


def test_only_trained_targetids_are_contained() -> None:
    targetids = TrainingTargetids(np.array([-3, 5, 5, 9], np.int64))
    asked = np.array([9, 4, 5, -3, 10, -4], np.int64)
    np.testing.assert_array_equal(
        targetids.contains(asked), [True, False, True, True, False, False]
    )


@pytest.mark.parametrize("trained", [[], [7]])
def test_any_numbers_of_targetids(trained: list[int]) -> None:
    targetids = TrainingTargetids(np.array(trained, np.int64))
    assert targetids.contains(np.array([7], np.int64)).tolist() == [7 in trained]
    assert targetids.contains(np.zeros(0, np.int64)).shape == (0,)


def test_arrays_are_read_in_any_order() -> None:
    read = TrainingTargetids.from_arrays({"targetids": np.array([9, 1, 5])})
    np.testing.assert_array_equal(read.targetids, [1, 5, 9])
    np.testing.assert_array_equal(
        TrainingTargetids.from_arrays(read.to_arrays()).targetids, read.targetids
    )


def test_a_bundle_holds_all_that_were_trained_on(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert len(TrainingTargetids.of(opened).targetids) == opened.manifest.sample.counts["training"]
