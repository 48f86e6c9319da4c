"""The stored density gives what scikit-learn's local outlier factor gives."""

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor as Reference

from scoring.density import LocalOutlierFactor
from training import TrainingError
from training.model.density import (
    fit_local_outlier_factor,
    informative_axes,
    well_reconstructed,
)
from training.model.scored import Scored

RNG = np.random.default_rng(2)
LATENTS = np.concatenate([RNG.normal(size=(300, 4)), RNG.normal(5, 0.1, (60, 4))], dtype=np.float32)
K = 20


def ours(latents: np.ndarray) -> LocalOutlierFactor:
    return fit_local_outlier_factor(latents, K)


def test_new_points_score_as_in_scikit_learn() -> None:
    points = RNG.normal(0, 3, (200, 4)).astype(np.float32)
    expected = Reference(n_neighbors=K, novelty=True).fit(LATENTS).score_samples(points)
    np.testing.assert_allclose(ours(LATENTS).nof(points), expected, rtol=1e-5)


def test_training_points_keep_the_factor_they_had_in_training() -> None:
    expected = Reference(n_neighbors=K).fit(LATENTS).negative_outlier_factor_
    np.testing.assert_allclose(ours(LATENTS).nof(LATENTS), expected, rtol=1e-5)


def test_duplicates_are_removed() -> None:
    twice = np.concatenate([LATENTS, LATENTS[:50]])
    assert len(fit_local_outlier_factor(twice, K).latents) == len(LATENTS)


def test_too_few_latents_are_named() -> None:
    with pytest.raises(TrainingError, match="20 distinct training latents for 20 neighbours"):
        fit_local_outlier_factor(LATENTS[:20], K)


def test_the_latents_with_the_narrowest_posterior_are_kept() -> None:
    log_variance = np.log(np.array([[0.9, 0.01, 0.5, 0.1], [0.8, 0.03, 0.4, 0.2]], np.float32))
    np.testing.assert_array_equal(informative_axes(log_variance, 2), [1, 3])
    np.testing.assert_array_equal(informative_axes(log_variance, None), [0, 1, 2, 3])
    np.testing.assert_array_equal(informative_axes(log_variance, 9), [0, 1, 2, 3])


def test_only_the_chosen_axes_count() -> None:
    points = RNG.normal(0, 3, (50, 4)).astype(np.float32)
    chosen = fit_local_outlier_factor(LATENTS, K, np.array([0, 2]))
    assert chosen.latents.shape == LATENTS.shape
    plain = fit_local_outlier_factor(LATENTS[:, [0, 2]], K)
    np.testing.assert_array_equal(chosen.nof(points), plain.nof(points[:, [0, 2]]))


def test_the_worst_reconstructed_at_like_snr_are_left_out() -> None:
    rows = np.zeros(4000, [("snr", "f4"), ("coverage", "f4")])
    rows["snr"] = np.repeat([5, 10, 20, 40], 1000)
    rows["coverage"] = 1
    # Misfit grows with S/N: the worst of the faint are better than any of the bright.
    wmse = (rows["snr"] + np.tile(np.arange(1000) / 1000, 4)).astype(np.float32)
    none = np.zeros((4000, 0), np.float32)
    scored = Scored(np.arange(4000), rows, none, wmse, wmse, none, none, wmse, wmse, wmse)
    kept = well_reconstructed(scored, 0.01)
    np.testing.assert_array_equal(np.flatnonzero(~kept) % 1000, np.tile(np.arange(990, 1000), 4))
    assert well_reconstructed(scored, 0.0).all()
