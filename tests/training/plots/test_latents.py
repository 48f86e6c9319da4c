"""The corner plot shows all pairs of the chosen latents."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from tests.training.plots.helpers import make_sample
from training.plots.latents import corner, latent_names


def drawn(shown: list[int]) -> Figure:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(2000, 4)).astype(np.float32)
    latent[0, 2] = 1000
    sample = make_sample(
        np.ones((2000, 10)), latent=latent, spectype=np.repeat(["GALAXY", "STAR"], [1900, 100])
    )
    return corner(sample, np.array(shown))


def test_there_is_a_panel_for_each_pair_and_a_histogram_for_each_latent() -> None:
    figure = drawn([0, 2, 3])
    assert len(figure.axes) == 6
    assert [axes.get_xlabel() for axes in figure.axes[3:]] == ["latent 1", "latent 3", "latent 4"]
    assert latent_names(4)[2] == "latent 3"


@pytest.mark.parametrize("count", [20, 100])
def test_few_galaxies_are_points_and_few_stars_ticks(count: int) -> None:
    rng = np.random.default_rng(0)
    sample = make_sample(
        np.ones((count, 10)),
        latent=rng.normal(size=(count, 2)).astype(np.float32),
        spectype=np.repeat(["GALAXY", "STAR"], [count - 3, 3]),
    )
    first, pair, _ = corner(sample, np.array([0, 1])).axes
    assert not pair.images
    assert sum(len(np.asarray(line.get_xdata())) for line in pair.lines) == count
    rugs = [one for one in first.collections if isinstance(one, LineCollection)]
    assert 3 in [len(rug.get_segments()) for rug in rugs]


def test_tick_labels_of_neighbouring_panels_do_not_touch() -> None:
    figure = drawn([0, 1, 2, 3])
    FigureCanvasAgg(figure).draw()
    bottom = figure.axes[-4:]
    extents = [
        label.get_window_extent()
        for axes in bottom
        for label in axes.get_xticklabels()
        if label.get_text()
    ]
    assert len(extents) >= 4
    assert all(a.x1 < b.x0 for a, b in pairwise(sorted(extents, key=lambda one: one.x0)))


def test_a_distant_spectrum_does_not_set_the_limits() -> None:
    low, high = drawn([0, 2]).axes[-1].get_xlim()
    assert -6 < low < -1
    assert 1 < high < 6


def test_the_legend_counts_the_classes_that_there_are() -> None:
    legend = drawn([0, 1]).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["GALAXY, 1900", "STAR, 100"]
