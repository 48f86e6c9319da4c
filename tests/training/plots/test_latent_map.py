"""The map shows every reference spectrum in the colour of its class."""

import numpy as np

from training.plots.latent_map import draw_map
from training.plots.style import CLASS_COLOURS


def test_the_rarest_class_is_drawn_on_top_and_all_spectra_are_shown() -> None:
    place = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    spectype = np.repeat(["STAR", "GALAXY", "QSO"], [8, 90, 2])
    (axes,) = draw_map(place, spectype).axes
    assert [line.get_label() for line in axes.lines] == ["GALAXY, 90", "STAR, 8", "QSO, 2"]
    for line, name in zip(axes.lines, ("GALAXY", "STAR", "QSO"), strict=True):
        assert line.get_color() == CLASS_COLOURS[name]
        np.testing.assert_array_equal(line.get_xydata(), place[spectype == name])
    legend = axes.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 3
    assert {str(line.get_marker()) for line in axes.lines} == {"o", "^", "D"}


def test_a_class_without_spectra_is_not_in_the_legend() -> None:
    (axes,) = draw_map(np.zeros((3, 2), np.float32), np.array(["GALAXY"] * 3)).axes
    assert [line.get_label() for line in axes.lines] == ["GALAXY, 3"]
