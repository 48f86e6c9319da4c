"""The shapes of galaxies are found in a sample of which one in a hundred is none."""

import numpy as np

from scoring.second_galaxy import feature_wave
from training.model.galaxy_shapes import features_of, shapes_of

WAVE = np.linspace(3602, 7554, 300)


def galaxies(count: int, seed: int) -> np.ndarray:
    """Spectra that differ in ten smooth ways, and slightly in every bin."""
    rng = np.random.default_rng(seed)
    ways = np.sin(np.outer(np.arange(1, 11), np.linspace(0, np.pi, 300)))
    amplitudes = rng.normal(size=(count, 10)) / np.arange(1, 11)
    return (1 + amplitudes @ ways + rng.normal(0, 0.01, (count, 300))).astype(np.float32)


def with_lines(spectra: np.ndarray, seed: int) -> np.ndarray:
    """The same with lines at two places, of various strengths."""
    strength = np.random.default_rng(seed).uniform(1, 3, len(spectra))
    lines = np.zeros(300)
    lines[[80, 81, 82, 200, 201, 202]] = 0.3
    return (spectra + strength[:, None] * lines).astype(np.float32)


def test_galaxies_have_the_typical_distance_and_others_a_larger_one() -> None:
    shapes = shapes_of(galaxies(3000, 1), WAVE)
    assert shapes.axes.shape == (300, 14)
    np.testing.assert_allclose(shapes.axes.T @ shapes.axes, np.eye(14), atol=1e-5)
    assert 0.95 < np.median(shapes.distance(galaxies(500, 2))) < 1.05
    assert (shapes.distance(with_lines(galaxies(500, 3), 4)) > 3).all()


def test_a_few_others_in_the_sample_do_not_become_its_shapes() -> None:
    sample = galaxies(3000, 5)
    sample[:30] = with_lines(sample[:30], 6)
    others = with_lines(galaxies(500, 7), 8)
    assert (shapes_of(sample, WAVE).distance(others) > 3).all()

    # What a fifth of the sample has is common.
    sample[:600] = with_lines(sample[:600], 9)
    assert (shapes_of(sample, WAVE).distance(others) < 3).mean() > 0.9


def test_reconstructions_that_fill_the_axes_have_a_distance_of_rounding_only() -> None:
    flat = np.full((50, 40), 0.1, np.float32)
    shapes = shapes_of(flat, np.linspace(3602, 7554, 40))
    assert np.isfinite(shapes.features).all()
    assert shapes.typical > 0
    assert (shapes.distance(flat) < 0.1).all()


def test_features_are_nearly_the_two_kinds_that_galaxies_are_sums_of() -> None:
    wave = np.linspace(3602, 7554, 1000)
    rng = np.random.default_rng(10)
    lines = np.array([(3728, 4862, 5008, 6564), (3950, 4304, 5175, 5893)])
    young, old = np.exp(-0.5 * ((wave - lines[..., None]) / 15) ** 2).sum(axis=1) * [[1], [-1]]
    slope = rng.normal(size=(4000, 1)) * np.linspace(-1, 1, 1000)
    share = rng.uniform(size=(4000, 1))
    strength = rng.uniform(0.5, 2, (4000, 1))
    sample = 5 + slope + strength * (share * young + (1 - share) * old)
    found = features_of(sample.astype(np.float32), wave)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)

    # A tenth of the galaxies is beyond each.
    pixels = feature_wave(wave, found.shape[1])
    kinds = np.stack([np.interp(pixels, wave, one) for one in (young, old)])
    columns = np.vstack([kinds, np.ones(len(pixels))]).T
    parts = np.linalg.lstsq(columns, found.T.astype(np.float64))[0][:2].T
    np.testing.assert_allclose(
        parts / parts.sum(axis=1)[:, None], [[0.9, 0.1], [0.1, 0.9]], atol=0.05
    )
