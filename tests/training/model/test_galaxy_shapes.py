"""The shapes of galaxies are found in a sample of which one in a hundred is none."""

import numpy as np

from training.model.galaxy_shapes import shapes_of


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
    shapes = shapes_of(galaxies(3000, 1))
    assert shapes.axes.shape == (300, 14)
    np.testing.assert_allclose(shapes.axes.T @ shapes.axes, np.eye(14), atol=1e-5)
    assert 0.95 < np.median(shapes.distance(galaxies(500, 2))) < 1.05
    assert (shapes.distance(with_lines(galaxies(500, 3), 4)) > 3).all()


def test_a_few_others_in_the_sample_do_not_become_its_shapes() -> None:
    sample = galaxies(3000, 5)
    sample[:30] = with_lines(sample[:30], 6)
    others = with_lines(galaxies(500, 7), 8)
    assert (shapes_of(sample).distance(others) > 3).all()

    # What a fifth of the sample has is common.
    sample[:600] = with_lines(sample[:600], 9)
    assert (shapes_of(sample).distance(others) < 3).mean() > 0.9


def test_reconstructions_that_fill_the_axes_have_a_distance_of_rounding_only() -> None:
    flat = np.full((50, 40), 0.1, np.float32)
    shapes = shapes_of(flat)
    assert shapes.typical > 0
    assert (shapes.distance(flat) < 0.1).all()
