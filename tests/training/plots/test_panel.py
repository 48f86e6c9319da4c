"""The title of a panel says what is known of its spectrum."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.training.plots.helpers import WAVE, make_sample
from training.plots.panel import draw_panel, title_height, title_lines


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("", []), ("inlier", ["nothing injected"]), ("cosmic", ["injected: cosmic"])],
)
def test_the_title_says_what_was_injected_on_a_simulated_sky(
    kind: str, expected: list[str]
) -> None:
    sample = make_sample(np.ones((1, 10)), kind=np.array([kind]), p_value=np.array([0.0012]))
    first, *others = title_lines(sample, 0)
    assert first == "p 0.0012, wmse 1, NOF −1, S/N 10"
    assert others == expected


def test_another_line_makes_a_title_higher() -> None:
    plain, simulated = (
        make_sample(np.ones((1, 10)), kind=np.array([kind])) for kind in ("", "cosmic")
    )
    assert title_height(simulated) > title_height(plain)


@pytest.mark.parametrize("label", [True, False])
def test_lines_are_labelled_only_where_asked(label: bool) -> None:
    figure = Figure()
    cell = figure.add_gridspec(1, 1)[0]
    axes, below = draw_panel(figure, cell, WAVE, make_sample(np.ones((1, 1000))), 0, label=label)
    assert ("Hα" in {text.get_text() for text in axes.texts}) == label
    assert not below.texts
