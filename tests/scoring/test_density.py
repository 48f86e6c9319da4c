"""NOF agrees with scikit-learn, and a training spectrum keeps the NOF it had in training."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import LocalOutlierFactor as SklearnLOF

from scoring.density import LocalOutlierFactor, _outlier_factor

K = 20


def fitted(reference: NDArray[np.float32], k: int = K) -> tuple[LocalOutlierFactor, SklearnLOF]:
    peer = SklearnLOF(n_neighbors=k, novelty=True).fit(reference)
    ours = LocalOutlierFactor(
        reference,
        peer._distances_fit_X_[:, -1].astype(np.float32),
        peer._lrd.astype(np.float32),
        k,
        np.arange(reference.shape[1]),
    )
    return ours, peer


@pytest.fixture(scope="module")
def reference() -> NDArray[np.float32]:
    rng = np.random.default_rng(6)
    return np.vstack([rng.normal(size=(3000, 10)), rng.normal(4, 0.2, (500, 10))]).astype("f4")


def test_new_points_agree_with_scikit_learn(reference: NDArray[np.float32]) -> None:
    ours, peer = fitted(reference)
    new = np.random.default_rng(7).normal(0, 2, (500, 10)).astype(np.float32)
    np.testing.assert_allclose(ours.nof(new), peer.score_samples(new), rtol=1e-5)


def test_training_points_keep_their_training_score(reference: NDArray[np.float32]) -> None:
    ours, peer = fitted(reference)
    jitter = np.random.default_rng(8).normal(0, 1e-7, reference.shape).astype(np.float32)
    np.testing.assert_allclose(
        ours.nof(reference + jitter), peer.negative_outlier_factor_, rtol=1e-5
    )


def test_a_line_of_points_worked_by_hand() -> None:
    # Reference 0, 1, 2, 3, 4 with k = 2. Two nearest of each: distances to the 2nd
    # are 2, 1, 1, 1, 2; reachability densities 1/1.5, 1/1.5, 1, 1/1.5, 1/1.5.
    reference = np.arange(5, dtype=np.float32)[:, None]
    k_distances = np.array([2, 1, 1, 1, 2], np.float32)
    densities = np.array([2 / 3, 2 / 3, 1, 2 / 3, 2 / 3], np.float32)
    lof = LocalOutlierFactor(reference, k_distances, densities, 2, np.array([0]))
    # 10 has neighbours 4 (distance 6) and 3 (distance 7): mean reach 6.5, mean density 2/3.
    np.testing.assert_allclose(lof.nof(np.array([[10.0]], np.float32)), [-6.5 * 2 / 3], rtol=1e-6)


def test_isolated_points_score_lower(reference: NDArray[np.float32]) -> None:
    ours, _ = fitted(reference)
    distances = np.array([0, 5, 10, 100], np.float32)
    line = np.zeros((4, 10), np.float32)
    line[:, 0] = distances
    assert (np.diff(ours.nof(line)) < 0).all()
    assert ours.nof(line)[0] == pytest.approx(-1, abs=0.15)


def test_no_points_give_no_scores(reference: NDArray[np.float32]) -> None:
    assert fitted(reference)[0].nof(np.empty((0, 10), np.float32)).shape == (0,)


def test_distances_are_measured_along_the_axes_only(reference: NDArray[np.float32]) -> None:
    axes = np.array([1, 4])
    plain, _ = fitted(reference[:, axes])
    chosen = LocalOutlierFactor(reference, plain.k_distances, plain.densities, K, axes)
    np.testing.assert_array_equal(chosen.nof(reference), plain.nof(reference[:, axes]))


def test_arrays_hold_the_whole_density(reference: NDArray[np.float32]) -> None:
    ours, _ = fitted(reference)
    again = LocalOutlierFactor.from_arrays(ours.to_arrays(), K)
    np.testing.assert_array_equal(again.nof(reference), ours.nof(reference))


def test_too_few_reference_points_are_rejected(reference: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="k is 20 with 20"):
        LocalOutlierFactor(reference[:20], np.ones(20, "f4"), np.ones(20, "f4"), 20, np.arange(10))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 1e30, -1.1e15])
def test_a_latent_that_no_search_can_place_has_no_score(
    reference: NDArray[np.float32], value: float
) -> None:
    ours, _ = fitted(reference)
    latents = reference[:100].copy()
    latents[::3, 4] = value
    found = ours.nof(latents)
    assert np.isnan(found[::3]).all()
    kept = np.arange(100) % 3 > 0
    np.testing.assert_array_equal(found[kept], ours.nof(reference[:100])[kept])
    assert np.isnan(ours.nof(latents[:1])).all()


@pytest.mark.parametrize("value", [1e3, -1e8, 1e15])
def test_a_latent_far_away_has_a_score(reference: NDArray[np.float32], value: float) -> None:
    found = fitted(reference)[0].nof(np.full((3, 10), value, np.float32))
    assert (found < -100).all()
    assert np.isfinite(found).all()


def test_a_neighbour_that_is_not_in_the_reference_is_not_read(
    reference: NDArray[np.float32],
) -> None:
    ours, _ = fitted(reference)
    neighbours = np.zeros((3, K + 1), np.uint32) + np.arange(K + 1, dtype=np.uint32)
    neighbours[1, 7:] = len(reference)
    neighbours[2] = 2**32 - 1
    found = _outlier_factor(
        reference[:3], reference, neighbours, ours.k_distances, ours.densities, K
    )
    assert np.isfinite(found[0])
    assert np.isnan(found[1:]).all()


def test_arrays_that_do_not_fit_together_are_rejected(reference: NDArray[np.float32]) -> None:
    ours, _ = fitted(reference)
    with pytest.raises(ValueError, match="have 3499 and 3500 values with 3500 reference latents"):
        replace(ours, k_distances=ours.k_distances[1:])
    spoilt = reference.copy()
    spoilt[17, 3] = np.nan
    with pytest.raises(ValueError, match="not finite or beyond"):
        replace(ours, latents=spoilt)


def test_the_nearest_reference_points_agree_with_scikit_learn(
    reference: NDArray[np.float32],
) -> None:
    ours, peer = fitted(reference)
    new = np.random.default_rng(9).normal(0, 2, (500, 10)).astype(np.float32)
    distance, row = ours.nearest(new, 6)
    expected, rows = peer.kneighbors(new, 6)
    np.testing.assert_array_equal(row, rows)
    np.testing.assert_allclose(distance, expected, rtol=1e-6)
    assert (distance.dtype, row.dtype) == (np.float64, np.int64)
    one, first = ours.nearest(reference[:9], 1)
    assert one.shape == (9, 1)
    np.testing.assert_array_equal(one, 0)
    np.testing.assert_array_equal(first[:, 0], np.arange(9))


def test_nothing_is_near_a_latent_that_no_search_can_place(reference: NDArray[np.float32]) -> None:
    ours, _ = fitted(reference)
    latents = reference[:4].copy()
    latents[1, 2], latents[2, 0] = np.nan, 1e30
    distance, row = ours.nearest(latents, 3)
    assert np.isnan(distance[1:3]).all()
    assert (row[1:3] == -1).all()
    np.testing.assert_array_equal(row[[0, 3]], ours.nearest(reference[:4], 3)[1][[0, 3]])


@pytest.mark.parametrize("count", [0, 3501])
def test_more_neighbours_than_there_are_points_are_rejected(
    reference: NDArray[np.float32], count: int
) -> None:
    with pytest.raises(ValueError, match=f"count is {count} with 3500 reference latents"):
        fitted(reference)[0].nearest(reference[:2], count)
