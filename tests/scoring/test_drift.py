"""Deciles are counted as numpy's histogram counts them, for any number of latents."""

import numpy as np
import pytest

from scoring.drift import Drift, decile_counts


@pytest.mark.parametrize("latents", [1, 10, 24])
def test_counts_are_those_of_a_histogram(latents: int) -> None:
    rng = np.random.default_rng(1)
    edges = np.sort(rng.normal(size=(latents, 9)), axis=1).astype(np.float32)
    latent = rng.normal(size=(500, latents)).astype(np.float32)
    counts = decile_counts(latent, edges)
    for axis in range(latents):
        bounds = np.concatenate([[-np.inf], edges[axis], [np.inf]])
        expected, _ = np.histogram(latent[:, axis], bounds)
        np.testing.assert_array_equal(counts[axis], expected)


def test_a_value_on_an_edge_is_above_it() -> None:
    edges = np.arange(9, dtype=np.float32)[None]
    counts = decile_counts(np.array([[0.0], [8.0], [-0.5]], np.float32), edges)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0, 0, 0, 0, 0, 0, 1]])


def test_no_spectra_give_no_counts() -> None:
    edges = np.zeros((3, 9), np.float32)
    np.testing.assert_array_equal(decile_counts(np.zeros((0, 3), np.float32), edges), 0)


def test_arrays_hold_the_whole_drift_reference() -> None:
    drift = Drift(np.arange(24 * 9, dtype=np.float32).reshape(24, 9), np.full((24, 10), 0.1))
    again = Drift.from_arrays(drift.to_arrays())
    np.testing.assert_array_equal(again.edges, drift.edges)
    np.testing.assert_array_equal(again.shares, drift.shares)
