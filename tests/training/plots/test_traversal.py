"""A traversal changes one latent at a time."""

import numpy as np
import pytest

from tests.training.plots.helpers import WAVE
from tests.training.plots.linear_vae import linear_vae
from training.plots.traversal import STEPS, draw_traversal, robust_sigma, traverse


def test_sigma_is_robust_against_distant_values() -> None:
    values = np.random.default_rng(0).normal(0, 3, (10_000, 1))
    values[:50] = 1e6
    np.testing.assert_allclose(robust_sigma(values), 3, rtol=0.05)


def test_each_dimension_moves_alone_by_steps_of_sigma() -> None:
    latents = np.random.default_rng(0).normal((5, -5), (1, 2), (2000, 2)).astype(np.float32)
    # The decoder returns 1 plus its latents.
    decoded = traverse(linear_vae(np.eye(2)), latents) - 1
    centre, sigma = np.median(latents, axis=0), robust_sigma(latents)
    np.testing.assert_allclose(decoded[0, :, 0], centre[0] + sigma[0] * np.array(STEPS), rtol=1e-4)
    np.testing.assert_allclose(decoded[1, :, 1], centre[1] + sigma[1] * np.array(STEPS), rtol=1e-4)
    np.testing.assert_allclose(decoded[0, :, 1], centre[1], rtol=1e-4)


@pytest.mark.parametrize("size", [1, 3])
def test_each_panel_shows_the_differences_from_the_median(size: int) -> None:
    median = 1 + 0.3 * np.sin(WAVE / 300)
    effect = np.arange(1, size + 1)[:, None, None] * np.array(STEPS)[:, None] * 1e-3
    figure = draw_traversal(WAVE, ((median + effect) / np.sqrt(1000)).astype(np.float32))
    first, *panels = figure.axes
    np.testing.assert_allclose(np.asarray(first.lines[0].get_ydata()), median, rtol=1e-5)

    assert len(panels) == size
    for number, axes in enumerate(panels, 1):
        zero, *curves = axes.lines
        assert np.asarray(zero.get_ydata()).tolist() == [0, 0]
        shown = [np.asarray(curve.get_ydata()).mean() for curve in curves]
        np.testing.assert_allclose(shown, number * np.array([-2e-3, -1e-3, 1e-3, 2e-3]), rtol=1e-2)
        # Limits that suit the differences, not the spectrum.
        low, high = axes.get_ylim()
        assert number * 2e-3 < high - low < number * 1e-2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["−2 σ", "−1 σ", "+1 σ", "+2 σ"]
