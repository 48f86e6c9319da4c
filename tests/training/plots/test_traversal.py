"""A traversal changes one latent at a time."""

import numpy as np

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


def test_there_is_a_panel_for_each_dimension_with_a_curve_for_each_step() -> None:
    figure = draw_traversal(WAVE, np.full((3, len(STEPS), 1000), 0.03, np.float32))
    assert len(figure.axes) == 3
    assert [len(axes.lines) for axes in figure.axes] == [len(STEPS)] * 3
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["−2 σ", "−1 σ", "median", "+1 σ", "+2 σ"]
