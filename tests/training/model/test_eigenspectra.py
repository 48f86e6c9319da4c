"""Linear models: gaps are filled with the truth, noise does not determine the components."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.model.eigenspectra import iterative_pca, noise_weighted_pca

BINS, SPECTRA, RANK = 120, 800, 3
X = np.linspace(0, 1, BINS)
SHAPES = np.stack([np.sin(3 * X), np.cos(5 * X), np.exp(-((X - 0.5) ** 2) / 0.002)])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def spectra(rng: np.random.Generator) -> NDArray[np.float32]:
    flux = 3 + (rng.normal(size=(SPECTRA, RANK)) * [0.5, 0.3, 0.4]) @ SHAPES
    return (flux * rng.uniform(1, 50, (SPECTRA, 1))).astype(np.float32)


def test_gaps_are_filled_with_the_truth(rng: np.random.Generator) -> None:
    truth = spectra(rng)
    ivar = np.ones_like(truth)
    for row, start in enumerate(rng.integers(0, BINS - 15, SPECTRA)):
        ivar[row, start : start + 15] = 0
    flux = np.where(ivar > 0, truth, 1e3).astype(np.float32)
    eigenspectra = iterative_pca(flux, ivar, RANK, iterations=40)
    filled = eigenspectra.infill(flux, ivar)
    bad = ivar == 0
    relative = np.abs(filled - truth)[bad] / truth[bad]
    assert np.quantile(relative, 0.99) < 0.02
    np.testing.assert_array_equal(filled[~bad], truth[~bad])


def test_a_bar_that_ends_early_says_that_it_converged(
    rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    flux = spectra(rng)
    ivar = np.ones_like(flux)
    ivar[: SPECTRA // 2, :4] = 0
    iterative_pca(flux, ivar, RANK, iterations=40)
    last = capsys.readouterr().err.rpartition("\r")[2]
    assert "converged" in last
    assert "/40" in last
    assert "40/40" not in last


def test_without_gaps_it_is_principal_component_analysis(rng: np.random.Generator) -> None:
    flux = spectra(rng)
    eigenspectra = iterative_pca(flux, np.ones_like(flux), RANK, iterations=5)
    unit = flux / np.linalg.norm(flux, axis=1, keepdims=True)
    _, _, axes = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    overlap = np.abs((eigenspectra.components * axes[:RANK]).sum(axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-4)
    np.testing.assert_allclose(eigenspectra.mean, unit.mean(axis=0), atol=1e-6)


def noisy(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    flux = spectra(rng)
    flux /= np.linalg.norm(flux, axis=1, keepdims=True)
    # One part of the spectrum is so noisy that plain PCA would model only that part.
    sigma = np.where(X < 0.3, 0.3, 0.003) * rng.uniform(0.5, 2, (SPECTRA, 1))
    noisy_flux = flux + sigma * rng.normal(size=flux.shape)
    return noisy_flux.astype(np.float32), (1 / sigma**2).astype(np.float32)


def test_the_linear_start_leaves_only_noise(rng: np.random.Generator) -> None:
    flux, ivar = noisy(rng)
    start = noise_weighted_pca(flux, ivar, RANK)
    latent = (flux - start.mean) @ start.encode
    wmse = (ivar * (flux - start.mean - latent @ start.decode) ** 2).mean(axis=1)
    assert np.median(wmse) == pytest.approx(1, abs=0.05)


def test_latents_of_the_linear_start_are_white(rng: np.random.Generator) -> None:
    flux, ivar = noisy(rng)
    start = noise_weighted_pca(flux, ivar, RANK)
    np.testing.assert_allclose(start.decode @ start.encode, np.eye(RANK), atol=1e-5)
    latent = (flux - start.mean) @ start.encode
    np.testing.assert_allclose(latent.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(latent, rowvar=False), np.eye(RANK), atol=0.1)
    assert (start.log_variance < 0).all()


def test_a_bin_that_is_always_bad_does_no_harm(rng: np.random.Generator) -> None:
    flux, ivar = noisy(rng)
    ivar[:, -1] = 0
    start = noise_weighted_pca(flux, ivar, RANK)
    for array in (start.mean, start.encode, start.decode, start.log_variance):
        assert np.isfinite(array).all()
