"""Interest is that of scikit-learn's Gaussian process, and its orders are the published ones."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from explanation.interest import (
    INTERESTING,
    ORDERS,
    GaussianProcess,
    Kernel,
    LatentScale,
    Ranking,
    ScoredColumns,
    blend,
    cause_probabilities,
    expected_improvement,
    raw_score,
)
from outcrop.explanations import CAUSES

LATENTS = 6
SCALE = LatentScale.of(np.random.default_rng(5).normal(0, 2, (500, LATENTS)).astype(np.float32))


def night(count: int, seed: int = 0) -> ScoredColumns:
    """Spectra of which the first third is flagged, each with one certain cause."""
    rng = np.random.default_rng(seed)
    causes = np.zeros((count, len(CAUSES)))
    causes[np.arange(count), rng.integers(0, len(CAUSES), count)] = 1
    return ScoredColumns(
        latent=rng.normal(0, 2, (count, LATENTS)).astype(np.float32),
        wmse=rng.uniform(0.8, 3, count).astype(np.float32),
        nof=-rng.uniform(0.9, 2, count).astype(np.float32),
        p_value=np.sort(rng.uniform(size=count)),
        z=rng.uniform(0, 0.3, count),
        z_best=rng.uniform(0, 0.3, count),
        spectype=rng.choice(["GALAXY", "STAR", "QSO"], count),
        flagged=np.arange(count) < count // 3,
        causes=causes,
    )


def ranking(columns: ScoredColumns, seed: int = 0) -> Ranking:
    return Ranking(columns, SCALE, seed)


@pytest.mark.parametrize("kernel", [Kernel(2.0, 0.3, 1.0), Kernel(8.0, 1.0, 10.0)])
def test_mean_and_deviation_are_scikit_learns(kernel: Kernel) -> None:
    features = night(9000).features(SCALE)
    known = np.arange(0, 9000, 60)
    labels = np.random.default_rng(1).integers(0, 6, len(known)).astype(float)

    fitted = GaussianProcess.with_kernel(features[known], labels, kernel)
    mean, deviation = fitted.predict(features)

    reference = GaussianProcessRegressor(
        ConstantKernel(fitted.variance) * Matern(1.0, nu=1.5),
        alpha=fitted.variance * kernel.noise**2,
        optimizer=None,  # pyright: ignore[reportArgumentType]
    )
    weighted = kernel.weighted(features.astype(np.float64))
    reference.fit(weighted[known], labels - labels.mean())
    expected = reference.predict(weighted, return_std=True)
    assert mean == pytest.approx(expected[0] + labels.mean(), abs=2e-3)
    assert deviation == pytest.approx(expected[1], abs=2e-3)
    assert np.array_equal(fitted.mean(features), mean)


@pytest.mark.parametrize("by_cause", [True, False])
def test_hyper_parameters_follow_what_the_labels_follow(by_cause: bool) -> None:
    columns = night(200)
    cared_for = columns.causes[:, 3] > 0 if by_cause else columns.latent[:, 0] > 0
    fitted = GaussianProcess.fit(columns.features(SCALE), np.where(cared_for, 5.0, 0.0))
    assert fitted.kernel.cause_weight == (10 if by_cause else 1)


def test_what_is_labelled_alike_comes_first() -> None:
    columns = night(600)
    cared_for = columns.causes[:, 3] > 0
    labels = {row: 5 if cared_for[row] else 0 for row in range(100)}

    order = ranking(columns).order("interest", labels)
    assert cared_for[order[: np.count_nonzero(cared_for[100:])]].all()
    assert sorted(order.tolist()) == list(range(600))
    assert set(order[-100:].tolist()) == set(labels)


def test_p_values_and_their_order_never_change() -> None:
    columns = night(100)
    before = columns.p_value.copy()
    ranked = ranking(columns)
    for name in ORDERS:
        ranked.order(name, {7: 5, 50: 0})
    assert np.array_equal(columns.p_value, before)
    assert ranked.order("anomaly", {7: 5}).tolist() == list(range(100))


def test_features_do_not_depend_on_the_other_spectra() -> None:
    columns = night(100)
    some = np.array([4, 90, 17])
    alone = columns.chosen(some).features(SCALE)
    assert np.array_equal(alone, columns.features(SCALE)[some])


def test_what_is_not_known_is_0() -> None:
    columns = night(3)
    for name in ("wmse", "nof", "p_value", "z", "z_best"):
        getattr(columns, name)[0] = np.nan
    columns.latent[0] = np.nan
    columns.latent[1] = np.inf
    columns.spectype[0] = ""
    columns.causes[0] = 0

    features = columns.features(SCALE)
    assert not features[0].any()
    assert np.isfinite(features).all()
    assert ranking(columns).order("interest", {1: 4})[-1] == 1
    assert ranking(columns).order("anomaly", {})[-1] == 0


def test_cold_start_mixes_p_values_with_the_first_component() -> None:
    columns = night(300)
    order = ranking(columns).order("interest", {})
    assert sorted(order.tolist()) == list(range(300))
    assert order[0] == 0
    assert set(range(10)) <= set(order[:20].tolist())
    assert (order[:20] < 100).all()

    features = columns.features(SCALE)[:100]
    centred = features - features.mean(axis=0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    assert {int(along.argmin()), int(along.argmax())} <= set(order[:20].tolist())


@pytest.mark.parametrize("label", range(6))
def test_search_goes_on_until_something_is_interesting(label: int) -> None:
    columns = night(600)
    labels = {row: 0 for row in range(0, 20, 2)} | {1: label}
    order = ranking(columns).order("interest", labels)

    # Labelled rows have few of the causes; a search goes to flagged rows of the others.
    cause = columns.causes.argmax(axis=1)
    seen = set(cause[list(labels)].tolist())
    others = len(CAUSES) - len(seen)
    searches = set(cause[order[:others]].tolist()) == set(range(len(CAUSES))) - seen
    assert searches == (label < INTERESTING)
    if searches:
        assert (order[:20] < 200).all()


def test_ties_are_broken_at_random_by_the_seed() -> None:
    columns = night(1)
    same = columns.chosen(np.zeros(200, np.int64))
    labels: Mapping[int, int] = {0: 3}
    orders = [ranking(same, seed).order("interest", labels).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:-1] != sorted(orders[0][:-1])


def test_expected_improvement_is_that_of_protege() -> None:
    mean, deviation = np.array([0.0, 4.0, 6.0, 2.0]), np.array([1.0, 2.0, 0.5, 0.0])
    gain = mean[:3] - 5 - 0.5
    t = gain / deviation[:3]
    expected = gain * stats.norm.cdf(t) + deviation[:3] * stats.norm.pdf(t)
    found = expected_improvement(mean, deviation, 5.0)
    assert found[:3] == pytest.approx(expected)
    assert found[3] == pytest.approx(0, abs=1e-9)


def test_blend_is_the_score_far_away_and_times_the_interest_near() -> None:
    score, interest = np.full(4, 2.0), np.array([0.0, 5.0, 2.5, 0.0])
    found = blend(score, interest, np.array([0.0, 0.0, 0.0, 50.0]))
    assert found == pytest.approx([2 * 0.117, 2 * 0.95, 2 * 0.525, 2.0])


def test_blend_does_not_depend_on_the_night() -> None:
    columns = night(300)
    labels = {0: 5, 3: 0, 40: 2}
    half = np.arange(150)
    alone = ranking(columns.chosen(half)).order("blend", labels)
    among = ranking(columns).order("blend", labels)
    assert alone.tolist() == among[among < 150].tolist()


def test_raw_score_falls_with_the_p_value() -> None:
    score = raw_score(np.array([1.0, 0.01, 1e-300, 0.0, np.nan]))
    assert score[:4] == pytest.approx([0, 2.5, 5, 5], abs=0.04)
    assert np.isnan(score[4])


def test_scale_is_that_of_the_sample() -> None:
    latents = np.random.default_rng(2).normal(3, [1, 4], (4000, 2)).astype(np.float32)
    scale = LatentScale.of(latents)
    assert scale.centre == pytest.approx([3, 3], abs=0.3)
    assert scale.spread == pytest.approx([1, 4], rel=0.05)

    drawn = scale.signed_log(latents)
    pairs = drawn[:2000] - drawn[2000:]
    assert scale.distance == pytest.approx(np.sqrt((pairs**2).sum(axis=1).mean()), rel=0.05)


def test_cause_probabilities_come_from_the_rows_of_the_table() -> None:
    cause = np.array(["rare", "continuum", "of another version"])
    found = cause_probabilities(3, np.array([0, 2, 1]), cause, np.array([0.9, 0.4, 1.0]))
    expected: NDArray[np.float64] = np.zeros((3, len(CAUSES)))
    expected[0, CAUSES.index("rare")] = 0.9
    expected[2, CAUSES.index("continuum")] = 0.4
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("best", {}, "order 'best' is none of anomaly, interest"),
        ("interest", {10: 1}, "row 10 does not exist; there are 10"),
        ("blend", {-1: 1}, "row -1 does not exist"),
        ("interest", {0: 6}, "label 6 of row 0 is not 0 to 5"),
    ],
)
def test_bad_input_is_named(name: str, labels: dict[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranking(night(10)).order(name, labels)


def test_columns_of_another_length_are_named() -> None:
    columns = night(4)
    with pytest.raises(ValueError, match=r"causes has the shape \(4, 2\), expected \(4, 12\)"):
        ScoredColumns(**{**vars(columns), "causes": columns.causes[:, :2]})
    with pytest.raises(ValueError, match="1 finite latents have no spread"):
        LatentScale.of(columns.latent[:1])
