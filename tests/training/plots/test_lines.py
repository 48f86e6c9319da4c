"""Line labels never overlap, and are moved only where they would."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.plots import style
from training.plots.lines import LINES, label_lines, mark_lines, spread_labels


@pytest.mark.parametrize("inches", [2.2, 3.3, 7.0])
@pytest.mark.parametrize("limits", [(3600, 7556), (6500, 6780), (3880, 4020), (4280, 4380)])
def test_labels_never_overlap(inches: float, limits: tuple[float, float]) -> None:
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(inches + 0.6, 3), dpi=style.DPI)
        canvas = FigureCanvasAgg(figure)
        width = inches / (inches + 0.6)
        axes = figure.add_axes((0.5 * (1 - width), 0.1, width, 0.5))
        axes.set_xlim(*limits)
        labels = label_lines(axes)
        boxes = [label.get_window_extent(canvas.get_renderer()) for label in labels]
    assert len(labels) >= 2
    for one, two in itertools.pairwise(boxes):
        assert one.x1 <= two.x0
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(box.y1 <= figure.bbox.height for box in boxes)


def test_labels_with_enough_room_stay_at_their_lines() -> None:
    np.testing.assert_allclose(spread_labels([1, 3, 5], 1.5, 0, 10), [1, 3, 5])
    assert len(spread_labels([], 1.0, 0, 10)) == 0


def test_crowded_labels_are_spread_around_their_mean_within_the_bounds() -> None:
    np.testing.assert_allclose(spread_labels([5, 5, 5], 1, 0, 10), [4, 5, 6])
    np.testing.assert_allclose(spread_labels([9.9, 10], 1, 0, 10), [9, 10])
    # Four labels in a room for three: the spacing shrinks.
    np.testing.assert_allclose(spread_labels([1, 1, 1, 1], 1, 0, 2.4), [0, 0.8, 1.6, 2.4])


def test_only_lines_within_the_panel_are_marked() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(6400, 6800)
    assert [line.name for line in mark_lines(axes)] == ["Hα", "[N II]", "[S II]"]
    assert len(LINES) > 3
