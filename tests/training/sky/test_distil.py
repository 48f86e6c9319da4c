"""Deconvolution recovers a distribution without its measurement errors."""

import numpy as np

from training.sky.distil import deconvolve


def test_one_gaussian_is_recovered_from_noisy_values() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.6], [0.6, 0.5]])
    true = rng.multivariate_normal([2.0, -1.0], covariance, size=5000)
    variance = rng.uniform(0.2, 1.0, true.shape)
    value = true + rng.normal(0, np.sqrt(variance))

    weight, mean, found = deconvolve(value, variance, components=1)
    np.testing.assert_allclose(weight, 1)
    np.testing.assert_allclose(mean, [[2.0, -1.0]], atol=0.06)
    np.testing.assert_allclose(found, [covariance], atol=0.08)
