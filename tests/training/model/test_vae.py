"""The networks and the loss, against plain numpy."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from training.model.config import Network
from training.model.vae import LinearStart, build, kl_divergence, log_likelihood, weighted_mse

pytestmark = pytest.mark.long

BINS, LATENTS = 40, 3
RNG = np.random.default_rng(5)
FLUX = RNG.normal(0.15, 0.05, (6, BINS)).astype(np.float32)
IVAR = RNG.uniform(100, 900, (6, BINS)).astype(np.float32)
IVAR[:, 7] = 0
MODEL = (FLUX + RNG.normal(0, 0.05, FLUX.shape)).astype(np.float32)


def start() -> LinearStart:
    axes = np.linalg.qr(RNG.normal(size=(BINS, LATENTS)))[0].T.astype(np.float32)
    return LinearStart(
        mean=FLUX.mean(axis=0),
        encode=axes.T / 0.2,
        decode=axes * np.float32(0.2),
        log_variance=np.array([-3, -2, -1], np.float32),
    )


def test_likelihood_is_eq_5_summed_over_good_bins() -> None:
    good = IVAR > 0
    variance = 1 / np.where(good, IVAR, 1).astype(np.float64)
    terms = -0.5 * np.log(2 * np.pi * variance) - (FLUX - MODEL) ** 2 / (2 * variance)
    expected = (terms * good).sum(axis=1)
    np.testing.assert_allclose(log_likelihood(FLUX, IVAR, MODEL), expected, rtol=1e-5)


def test_a_bad_bin_has_no_weight() -> None:
    odd = MODEL.copy()
    odd[:, 7] = 1e6
    np.testing.assert_array_equal(
        log_likelihood(FLUX, IVAR, odd), log_likelihood(FLUX, IVAR, MODEL)
    )
    np.testing.assert_array_equal(weighted_mse(FLUX, IVAR, odd), weighted_mse(FLUX, IVAR, MODEL))


def test_kl_divergence_has_its_closed_form() -> None:
    mean = RNG.normal(size=(6, LATENTS)).astype(np.float32)
    log_variance = RNG.normal(-2, 1, (6, LATENTS)).astype(np.float32)
    expected = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
    np.testing.assert_allclose(kl_divergence(mean, log_variance), expected, rtol=1e-5)


def test_kl_divergence_of_the_prior_is_zero() -> None:
    zeros = np.zeros((2, LATENTS), np.float32)
    np.testing.assert_array_equal(kl_divergence(zeros, zeros), [0, 0])


def test_wmse_is_eq_6_over_all_bins() -> None:
    expected = [(IVAR[i] * (FLUX[i] - MODEL[i]) ** 2).sum() / BINS for i in range(len(FLUX))]
    np.testing.assert_allclose(weighted_mse(FLUX, IVAR, MODEL), expected, rtol=1e-5)


def test_a_linear_path_starts_as_the_linear_autoencoder() -> None:
    linear = start()
    network = Network(latents=LATENTS, hidden=(16, 8), dropout=0.0, linear_path=True)
    vae = build(BINS, network, linear, seed=1)
    latent, log_variance = vae.encoder(FLUX)
    expected = (FLUX - linear.mean) @ linear.encode
    np.testing.assert_allclose(latent, expected, atol=1e-5)
    np.testing.assert_allclose(log_variance, np.tile(linear.log_variance, (6, 1)), atol=1e-6)
    np.testing.assert_allclose(
        vae.decoder(expected), linear.mean + expected @ linear.decode, atol=1e-6
    )


def test_the_papers_network_has_the_papers_layers() -> None:
    vae = build(1000, Network(), None, seed=0)
    for model, widths in (
        (vae.encoder, [800, 600, 500, 300, 10, 10]),
        (vae.decoder, [300, 500, 600, 800, 1000]),
    ):
        dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        assert sorted(layer.units for layer in dense) == sorted(widths)
        assert sum(isinstance(layer, keras.layers.Dropout) for layer in model.layers) == 4


def test_weight_decay_spares_the_linear_path_and_the_biases() -> None:
    network = Network(latents=LATENTS, hidden=(16, 8), dropout=0.0, linear_path=True)
    vae = build(BINS, network, start(), seed=1)
    decayed = {id(v) for v in vae.trainable()} - {id(v) for v in vae.undecayed()}
    shapes = sorted(tuple(v.shape) for v in vae.trainable() if id(v) in decayed)
    perceptrons = [(BINS, 16), (16, 8), (LATENTS, 8), (8, 16)]
    last = [(8, LATENTS), (8, LATENTS), (16, BINS)]
    assert shapes == sorted(perceptrons + last)


@pytest.mark.parametrize("linear_path", [True, False])
def test_a_start_is_given_exactly_where_there_is_a_linear_path(linear_path: bool) -> None:
    network = Network(latents=LATENTS, linear_path=linear_path)
    with pytest.raises(ValueError, match="linear_path"):
        build(BINS, network, None if linear_path else start(), seed=0)


def weights(seed: int) -> list[NDArray[np.float32]]:
    network = Network(latents=LATENTS, hidden=(8,), dropout=0.0)
    return [np.asarray(v) for v in build(BINS, network, None, seed).trainable()]


def test_the_seed_decides_the_weights() -> None:
    same = zip(weights(3), weights(3), strict=True)
    assert all(np.array_equal(a, b) for a, b in same)
    other = zip(weights(3), weights(4), strict=True)
    assert not all(np.array_equal(a, b) for a, b in other)
