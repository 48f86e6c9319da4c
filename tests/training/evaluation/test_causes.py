"""Causes: what is right is counted as right, whatever its probability."""

import numpy as np
import pytest

from explanation.competition import FEATURES, Candidates, Weights, known_causes
from training.evaluation.causes import Explained, result_of


def explained(kind: str, cause: str, flagged: bool) -> Explained:
    """Return a spectrum at a wrong redshift, for which one cause at the true one competes."""
    candidates = Candidates((cause,), np.array([1000.0]), np.array([1]), np.array([0.5]), 1e-5, 1e3)
    return Explained(kind, flagged, 0.2, 0.1, candidates, (0.1, np.nan), 0.1)


def weights(constant: float) -> Weights:
    return Weights(dict.fromkeys(known_causes(), constant), dict.fromkeys(FEATURES, 0.0))


@pytest.mark.parametrize(("constant", "place"), [(50.0, -1), (0.0, 1)])
def test_every_flagged_spectrum_is_in_one_bin_of_probability(constant: float, place: int) -> None:
    """A constant of 50 makes the probability 1, and one of 0 makes it a half."""
    rows = [
        explained("wrong_z", "wrong_redshift", True),
        explained("cosmic", "wrong_redshift", True),
        explained("", "wrong_redshift", False),
    ]
    found = result_of(rows, weights(constant))["probabilities"]
    assert isinstance(found, list)

    assert [one["n"] for one in found] == [2 * (k == place % len(found)) for k in range(len(found))]
    assert found[place]["right"] == 0.5


def test_causes_and_redshifts_are_counted_by_kind() -> None:
    rows = [
        explained("wrong_z", "wrong_redshift", True),
        explained("wrong_z", "cosmic_ray", True),
        explained("cosmic", "cosmic_ray", True),
        explained("", "cosmic_ray", False),
    ]
    found = result_of(rows, weights(50.0))

    causes = found["causes"]
    assert isinstance(causes, dict)
    assert (causes["wrong_z"]["right"], causes["cosmic"]["right"]) == (0.5, 1.0)
    # What moves no redshift keeps the given one, which is wrong.
    assert (causes["wrong_z"]["true_z"], causes["cosmic"]["true_z"]) == (0.5, 0.0)
    assert causes["wrong_z"]["unexplained_without_its_cause"] == 0.5
    assert (found["macro"], found["worst"]) == (0.75, 0.5)
    assert found["inliers"] == {
        "n": 1,
        "instrumental_or_better_z": 1,
        "flagged": 0,
        "flagged_instrumental_or_better_z": 0,
    }
