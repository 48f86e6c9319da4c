"""The map keeps neighbours together, and is the same in each run."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

import training.model.latent_map
from training.model.latent_map import latent_map


def two_groups(count: int = 300) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(count, 5)), rng.normal(9, 1, (count, 5))], dtype="f4")


def same_group(place: np.ndarray) -> float:
    """Return the share of nearest neighbours on the map that are of the same group."""
    (_, near) = NearestNeighbors(n_neighbors=1).fit(place).kneighbors()
    group = np.arange(len(place)) < len(place) // 2
    return float((group == group[near[:, 0]]).mean())


def test_groups_stay_apart_and_a_second_run_gives_the_same_map() -> None:
    points = two_groups()
    place = latent_map(points)
    assert place.shape == (600, 2)
    assert place.dtype == np.float32
    assert same_group(place) > 0.99
    np.testing.assert_array_equal(latent_map(points), place)


def test_points_beyond_the_largest_number_are_placed_among_their_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training.model.latent_map, "LARGEST", 200)
    place = latent_map(two_groups())
    assert np.isfinite(place).all()
    assert same_group(place) > 0.99


def test_a_handful_of_points_has_a_map() -> None:
    assert np.isfinite(latent_map(two_groups(4))).all()
