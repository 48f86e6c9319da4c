"""wmse and boxcar scores against plain definitions, and for noise alone."""

import numpy as np
import pytest

from outcrop.spectra import MIDDLES
from scoring.residual import WIDTHS, boxcar_scores, camera_offset, weighted_mse


def plain_significance(residual: np.ndarray, good: np.ndarray, width: int) -> float:
    boxcar = [
        abs(residual[j : j + width][good[j : j + width]].sum()) / np.sqrt(good[j : j + width].sum())
        for j in range(len(residual) - width + 1)
        if good[j : j + width].any()
    ]
    return max(boxcar, default=0.0)


def test_boxcar_significance_is_that_of_the_largest_mean_in_a_window() -> None:
    rng = np.random.default_rng(1)
    flux = rng.normal(size=(5, 200)).astype(np.float32)
    ivar = rng.gamma(2, 1, (5, 200)).astype(np.float32)
    ivar[rng.random((5, 200)) < 0.3] = 0
    ivar[4] = 0
    model = rng.normal(size=(5, 200)).astype(np.float32)
    got, _ = boxcar_scores(flux, ivar, model)
    for row in range(5):
        residual = (flux[row].astype(float) - model[row]) * np.sqrt(ivar[row])
        expected = [plain_significance(residual, ivar[row] > 0, width) for width in WIDTHS]
        np.testing.assert_allclose(got[row], expected, rtol=1e-4, atol=1e-6)


def test_boxcar_power_is_the_mean_square_of_windows_half_a_width_apart() -> None:
    rng = np.random.default_rng(3)
    flux, model = rng.normal(size=(2, 4, 200)).astype(np.float32)
    ivar = rng.gamma(2, 1, (4, 200)).astype(np.float32)
    ivar[rng.random((4, 200)) < 0.3] = 0
    ivar[2, :90] = 0
    ivar[3] = 0
    _, got = boxcar_scores(flux, ivar, model)
    for row in range(4):
        residual = (flux[row].astype(float) - model[row]) * np.sqrt(ivar[row])
        for i, width in enumerate(WIDTHS):
            squares: list[float] = []
            for start in range(0, 200 - width + 1, width // 2):
                inside = slice(start, start + width)
                if count := np.count_nonzero(ivar[row, inside]):
                    squares.append(residual[inside].sum() ** 2 / count)
            expected = np.mean(squares) if squares else 0
            assert got[row, i] == pytest.approx(expected, rel=1e-4)


def test_many_weak_features_show_in_the_power_and_not_in_the_largest() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(200, 1000)).astype(np.float32)
    many = noise.copy()
    many[:, np.arange(1000) % 40 < 4] += 0.9
    one, zero = np.ones_like(noise), np.zeros_like(noise)

    def found(scores: np.ndarray, weak: np.ndarray) -> np.float64:
        return np.mean(weak[:, 0] > np.quantile(scores[:, 0], 0.99))

    before, after = boxcar_scores(noise, one, zero), boxcar_scores(many, one, zero)
    assert found(before[1], after[1]) > found(before[0], after[0]) + 0.2


def test_each_width_finds_its_own_feature_best() -> None:
    zero = np.zeros((3, 1000), np.float32)
    flux = zero.copy()
    for row, width in enumerate(WIDTHS):
        flux[row, 300 : 300 + width] = 6 / np.sqrt(width)
    got, _ = boxcar_scores(flux, np.ones_like(flux), zero)
    np.testing.assert_array_equal(got.argmax(axis=1), np.arange(3))
    np.testing.assert_allclose(np.diagonal(got), 6, rtol=1e-5)


def test_noise_alone_gives_three_to_four_sigma_and_a_wmse_of_one() -> None:
    noise = np.random.default_rng(2).normal(size=(500, 1000)).astype(np.float32)
    one, zero = np.ones_like(noise), np.zeros_like(noise)
    significance, power = boxcar_scores(noise, one, zero)
    assert (np.median(significance, axis=0) > 2.5).all()
    assert (np.median(significance, axis=0) < 4).all()
    np.testing.assert_allclose(power.mean(axis=0), 1, atol=0.03)
    assert weighted_mse(noise, one, zero).mean() == pytest.approx(1, abs=0.01)


def test_wmse_is_a_mean_over_all_bins_with_weight_0_in_bad_ones() -> None:
    flux = np.array([[1, 2, 3, 4]], np.float32)
    ivar = np.array([[1, 0, 4, 1]], np.float32)
    model = np.array([[0, 9, 3.5, 4]], np.float32)
    # (1·1 + 0 + 4·0.25 + 0) / 4
    np.testing.assert_allclose(weighted_mse(flux, ivar, model), [0.5])


def test_fewer_bins_than_a_window_are_one_window() -> None:
    flux = np.ones((1, 2), np.float32)
    significance, power = boxcar_scores(flux, flux, np.zeros_like(flux))
    np.testing.assert_allclose(significance, [[np.sqrt(2)] * 3], rtol=1e-6)
    np.testing.assert_allclose(power, [[2] * 3], rtol=1e-6)


def test_camera_offset_is_that_of_the_camera_that_is_off() -> None:
    wave = np.linspace(3602, 7554, 1000)
    model = np.full((3, 1000), 1000**-0.5, np.float32)
    ivar = np.full((3, 1000), 1e6, np.float32)
    z = np.array([0.0, 0.1, 0.2])
    flux = model.copy()
    flux[:, :] += np.random.default_rng(2).normal(size=(3, 1000)).astype(np.float32) * 1e-3

    # In the first row nothing is off, in the second all of r by 8 %, in the third all of b.
    observed = wave * (1 + z[:, None])
    flux[1, (observed[1] >= 5780) & (observed[1] < 7570)] *= 1.08
    flux[2, observed[2] < 5780] *= 0.9
    none, red, blue = camera_offset(flux, ivar, model, z, wave, np.zeros((1000, 1), np.float32))

    def expected(offset: float, bins: int) -> float:
        return offset / np.sqrt(1 / (bins * 1e6 / 1000) + 0.01**2)

    assert none < 0.5
    assert red == pytest.approx(
        expected(0.08, np.sum((observed[1] >= 5780) & (observed[1] < 7570))), rel=0.03
    )
    assert blue == pytest.approx(expected(0.1, np.sum(observed[2] < 5780)), rel=0.03)


def test_a_camera_without_a_good_bin_has_no_offset() -> None:
    wave = np.linspace(3602, 7554, 50)
    flux = np.ones((1, 50), np.float32)
    ivar = np.zeros((1, 50), np.float32)
    axes = np.zeros((50, 1), np.float32)
    assert camera_offset(flux, ivar, 2 * flux, np.zeros(1), wave, axes)[0] == 0


def test_camera_offset_is_that_of_what_axes_do_not_reproduce() -> None:
    rng = np.random.default_rng(5)
    wave = np.linspace(3602, 7554, 1000)
    axes = np.linalg.qr(rng.normal(size=(1000, 3)).cumsum(axis=0))[0].astype(np.float32)
    model = rng.uniform(0.5, 1.5, (20, 1000)).astype(np.float32)
    ivar = rng.uniform(0, 400, (20, 1000)).astype(np.float32)
    z = rng.uniform(0, 0.3, 20)
    flux = (model + rng.normal(size=(20, 1000)) * 0.1).astype(np.float32)

    expected = np.zeros((20, 3))
    for row in range(20):
        camera = np.digitize(wave * (1 + z[row]), MIDDLES)
        for k in range(3):
            template = np.where(camera == k, model[row].astype(np.float64), 0)
            template -= axes @ (axes.T.astype(np.float64) @ template)
            square = np.sum(ivar[row] * template**2)
            offset = np.sum(ivar[row] * template * (flux[row] - model[row])) / square
            expected[row, k] = abs(offset) / np.sqrt(1 / square + 0.01**2)
    found = camera_offset(flux, ivar, model, z, wave, axes)
    np.testing.assert_allclose(found, expected.max(axis=1), rtol=1e-4)


def test_an_offset_that_axes_reproduce_is_none() -> None:
    wave = np.linspace(3602, 7554, 1000)
    model = np.full((1, 1000), 1000**-0.5, np.float32)
    blue = np.where(wave < MIDDLES[0], model[0], 0)
    others = np.where((wave >= MIDDLES[0]) & (wave < MIDDLES[1]), model[0], 0)
    axes = np.stack([blue / np.linalg.norm(blue), others / np.linalg.norm(others)], axis=1)
    noise = np.random.default_rng(6).normal(size=(1, 1000)) * 1e-3
    flux = (model * np.where(wave < MIDDLES[0], 1.1, 1) + noise).astype(np.float32)
    ivar = np.full((1, 1000), 1e6, np.float32)
    assert camera_offset(flux, ivar, model, np.zeros(1), wave, axes.astype(np.float32))[0] < 3
    none = np.zeros((1000, 1), np.float32)
    assert camera_offset(flux, ivar, model, np.zeros(1), wave, none)[0] > 8
