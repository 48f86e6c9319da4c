"""The competition of causes: its features, its probabilities, its weights."""

import numpy as np
import pytest
from scipy.special import softmax

from explanation.competition import FEATURES, Candidates, Weights, known_causes
from outcrop import CAUSES
from training.evaluation.cause_weights import LabelledCandidates, fit_weights


def candidates(
    causes: tuple[str, ...], gain: list[float], p_value: list[float], before: float = 1e-5
) -> Candidates:
    return Candidates(
        causes, np.array(gain), np.ones(len(causes), np.int64), np.array(p_value), before, 1000.0
    )


def test_committed_weights_know_every_cause() -> None:
    weights = Weights.committed()

    assert set(weights.constant) == set(known_causes()) == set(CAUSES) - {"unexplained"}
    assert set(weights.slope) == set(FEATURES)


def test_probabilities_are_those_of_a_conditional_logit() -> None:
    weights = Weights.committed()
    some = candidates(("cosmic_ray", "rare"), [900.0, 0.0], [0.5, 1e-5])

    slopes = [weights.slope[name] for name in FEATURES]
    utility = [
        weights.constant["cosmic_ray"] + some.features[0] @ slopes,
        weights.constant["rare"] + some.features[1] @ slopes,
        0.0,
    ]
    assert weights.probabilities(some) == pytest.approx(softmax(utility))


def test_what_explains_everything_is_more_probable_than_what_explains_half() -> None:
    some = candidates(("broad_line", "sky_residual"), [1000.0, 500.0], [0.5, 1e-4])

    first, second, unexplained = Weights.committed().probabilities(some)
    assert first > second
    assert first > unexplained


def test_what_explains_nothing_leaves_a_spectrum_unexplained() -> None:
    some = candidates(("wrong_redshift", "sky_residual", "rare"), [5.0, 20.0, 0.0], [1e-5] * 3)

    assert Weights.committed().probabilities(some).argmax() == 3


def test_extreme_numbers_have_probabilities() -> None:
    for value in (0.0, 1e-300, np.nextafter(1, 0)):
        some = candidates(("cosmic_ray", "rare"), [1e12, -1e12], [value, value], value)
        probability = Weights.committed().probabilities(some)
        assert np.isfinite(probability).all()
        assert probability.sum() == pytest.approx(1)


def test_fitted_weights_tell_good_explanations_from_bad_ones() -> None:
    rng = np.random.default_rng(0)
    sample = []
    for _ in range(200):
        gain = rng.uniform(850, 1000)
        good = candidates(("cosmic_ray", "broad_line"), [gain, 300.0], [0.3, 1e-4])
        sample.append(LabelledCandidates(good, frozenset({"cosmic_ray"})))
        sample.append(sample[-1].without(frozenset({"cosmic_ray"}), 0.5))
    weights = fit_weights(sample)

    assert weights.probabilities(sample[0].candidates).argmax() == 0
    # Without the cosmic ray there are the broad line and, last, unexplained.
    assert weights.probabilities(sample[1].candidates).argmax() == 1
    assert weights.slope["share"] >= 0 >= weights.slope["left"]
