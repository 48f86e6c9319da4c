"""Second galaxy: found at its redshift among noise, as an independent fit finds it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls

from scoring.residual import boxcar_scores
from scoring.second_galaxy import FARTHEST, feature_wave, second_galaxy

WAVE = np.linspace(3602, 7554, 1000)
PIXELS = 200


@pytest.fixture(scope="module")
def features() -> NDArray[np.float32]:
    """Lines at different places, and what is between them."""
    wave = feature_wave(WAVE, PIXELS)
    young = [np.exp(-0.5 * ((wave - line) / 25) ** 2) for line in (3728, 4862, 5008, 6564)]
    old = [-np.exp(-0.5 * ((wave - line) / 40) ** 2) for line in (3950, 4304, 5175, 5893)]
    found = np.stack([np.sum(young, axis=0), np.sum(old, axis=0)])
    found -= found.mean(axis=1, keepdims=True)
    return (found / np.linalg.norm(found, axis=1)[:, None]).astype(np.float32)


def residuals(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noise and its ivar; a tenth of the bins is bad."""
    rng = np.random.default_rng(seed)
    ivar = rng.uniform(1, 9, (count, 1000))
    flux = rng.normal(size=ivar.shape) / np.sqrt(ivar)
    ivar[rng.random(ivar.shape) < 0.1] = 0
    return flux.astype(np.float32), ivar.astype(np.float32)


def of_galaxy(
    features: NDArray[np.float32], amplitudes: tuple[float, float], z: float, second: float
) -> NDArray[np.float64]:
    """Features of a galaxy at one redshift, in the rest frame of another."""
    rest = WAVE * (1 + z) / (1 + second)
    wave = feature_wave(WAVE, PIXELS)
    return np.interp(rest, wave, np.asarray(amplitudes) @ features, left=0, right=0)


def score(
    features: NDArray[np.float32],
    flux: NDArray[np.floating],
    ivar: NDArray[np.float32],
    z: NDArray[np.float64],
) -> NDArray[np.float32]:
    spectrum = flux.astype(np.float32)
    return second_galaxy(spectrum, ivar, np.zeros_like(spectrum), z, WAVE, features)


def test_it_is_the_best_fit_with_positive_amplitudes(features: NDArray[np.float32]) -> None:
    flux, ivar = residuals(6, 1)
    z = np.linspace(0, 0.3, 6)
    flux[1] += of_galaxy(features, (3, 0), z[1], 0.25)
    flux[2] += of_galaxy(features, (0, 3), z[2], 0.3)
    flux[3] += of_galaxy(features, (2, 2), z[3], 0.05)

    grid = np.log(feature_wave(WAVE, PIXELS))
    step = grid[1] - grid[0]
    pixel = np.rint((np.log(WAVE) - grid[0]) / step).astype(int)
    shifted = np.arange(-200, 201)
    expected = np.zeros(6)
    for row in range(6):
        redshift = (1 + z[row]) * np.exp(shifted * step) - 1
        inside = (redshift > -step) & (redshift < FARTHEST + 2 * step)
        for shift in shifted[inside & (np.abs(shifted * step) >= 0.012)]:
            source = pixel - shift
            seen = (source >= 0) & (source < PIXELS)
            model = np.where(seen, features[:, source.clip(0, PIXELS - 1)], 0)
            root = np.sqrt(ivar[row])
            _, left = nnls((model * root).T, flux[row] * root)
            expected[row] = max(expected[row], np.sum((flux[row] * root) ** 2) - left**2)

    np.testing.assert_allclose(score(features, flux, ivar, z), expected, rtol=1e-4)


def test_every_redshift_from_0_to_the_farthest_but_its_own_is_tried(
    features: NDArray[np.float32],
) -> None:
    grid = np.log(feature_wave(WAVE, PIXELS))
    step = grid[1] - grid[0]
    pixel = np.rint((np.log(WAVE) - grid[0]) / step).astype(int)
    nearest = int(np.floor(-np.log(1.1) / step))
    farthest = int(np.ceil(np.log((1 + FARTHEST) / 1.1) / step))
    own = int(np.ceil(0.012 / step))

    def share(shift: int) -> float:
        """Return the share of χ² that is found when one feature is all there is."""
        source = pixel - shift
        seen = (source >= 0) & (source < PIXELS)
        flux = np.where(seen, features[0, source.clip(0, PIXELS - 1)], 0)[None]
        return score(features, flux, np.ones((1, 1000), np.float32), np.array([0.1]))[0] / np.sum(
            flux.astype(np.float64) ** 2
        )

    for shift in (nearest, -own, own, farthest):
        assert share(shift) == pytest.approx(1, rel=1e-4)
    for shift in (nearest - 1, 1 - own, own - 1, farthest + 1):
        assert share(shift) < 0.95


def test_a_weak_galaxy_is_found_where_boxcars_find_none(features: NDArray[np.float32]) -> None:
    flux, ivar = residuals(400, 2)
    z = np.random.default_rng(3).uniform(0, 0.3, 400)
    usual = np.quantile(score(features, flux, ivar, z), 0.99)
    boxcars, _ = boxcar_scores(flux, ivar, np.zeros_like(flux))
    for amplitudes in ((1.2, 0.0), (0.0, 1.2), (0.8, 0.8)):
        for second in (0.02, 0.15, 0.4):
            away = np.flatnonzero(np.abs(z - second) > 0.03)
            both = flux.astype(np.float64)
            for row in away:
                both[row] += of_galaxy(features, amplitudes, z[row], second)
            assert (score(features, both, ivar, z)[away] > usual).mean() > 0.65

            spectra = both.astype(np.float32)
            seen, _ = boxcar_scores(spectra, ivar, np.zeros_like(spectra))
            found = np.any(seen > np.quantile(boxcars, 0.997, axis=0), axis=1)
            assert found[away].mean() < 0.45


def test_its_own_features_and_negative_ones_are_no_second_galaxy(
    features: NDArray[np.float32],
) -> None:
    flux, ivar = residuals(1, 4)
    z = np.array([0.1])
    before = score(features, flux, ivar, z)[0]
    own = of_galaxy(features, (2, 0), 0.1, 0.1)
    another = of_galaxy(features, (2, 0), 0.1, 0.2)
    assert score(features, flux + another, ivar, z)[0] > before + 20
    assert score(features, flux + own, ivar, z)[0] < before + 20
    assert score(features, flux - another, ivar, z)[0] < before + 20


def test_no_row_changes_another(features: NDArray[np.float32]) -> None:
    flux, ivar = residuals(50, 5)
    z = np.linspace(0, 0.3, 50)
    whole = score(features, flux, ivar, z)
    alone = [score(features, flux[[k]], ivar[[k]], z[[k]])[0] for k in range(50)]
    np.testing.assert_array_equal(whole, alone)
    assert score(features, flux[:0], ivar[:0], z[:0]).shape == (0,)


def test_without_a_good_bin_there_is_none(features: NDArray[np.float32]) -> None:
    flux, ivar = residuals(1, 6)
    assert score(features, flux, np.zeros_like(ivar), np.zeros(1))[0] == 0


def test_one_bin_that_is_very_certain_is_no_galaxy(features: NDArray[np.float32]) -> None:
    flux, ivar = residuals(200, 9)
    z = np.random.default_rng(10).uniform(0, 0.3, 200)
    usual = score(features, flux, ivar, z)
    ivar[:, 500] = 1e4
    flux[:, 500] = 0.01
    certain = score(features, flux, ivar, z)
    assert np.quantile(certain, 0.9) < 1.3 * np.quantile(usual, 0.9)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_unit_of_the_flux_does_not_matter(features: NDArray[np.float32], scale: float) -> None:
    flux, ivar = residuals(5, 11)
    z = np.linspace(0, 0.3, 5)
    other = score(features, flux * np.float32(scale**-0.5), ivar * np.float32(scale), z)
    np.testing.assert_allclose(other, score(features, flux, ivar, z), rtol=1e-4)


@pytest.mark.parametrize("value", [1e30, 3e38])
def test_no_flux_is_too_large(features: NDArray[np.float32], value: float) -> None:
    flux, ivar = residuals(1, 7)
    flux[0, 400:410] = value
    found = score(features, flux, ivar, np.array([0.1]))[0]
    assert found > 1000
    assert np.isfinite(found)


def test_bins_that_span_less_than_the_redshifts_are_enough(features: NDArray[np.float32]) -> None:
    wave = np.linspace(5000, 5400, 100)
    flux = np.random.default_rng(8).normal(size=(2, 100)).astype(np.float32)
    found = second_galaxy(
        flux, np.ones_like(flux), np.zeros_like(flux), np.array([0.0, 3.0]), wave, features
    )
    assert found[0] > 0
    # No redshift up to the farthest is seen in these bins.
    assert found[1] == 0
