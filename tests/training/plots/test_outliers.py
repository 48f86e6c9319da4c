"""Galleries show every spectrum in order."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.training.plots.helpers import WAVE, make_sample
from training.plots.outliers import gallery, outlier_page
from training.plots.style import FLUX, RESIDUAL, WAVELENGTH


def title(axes: Axes) -> str:
    return next(text.get_text() for text in axes.texts if text.get_fontweight() == "bold")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_gallery_has_spectrum_and_residual_of_each_in_order(count: int) -> None:
    figure = gallery(WAVE, make_sample(np.ones((count, 1000))), "Title")
    assert len(figure.axes) == 2 * count
    assert [title(axes) for axes in figure.axes[::2]] == [f"{i}  {i}" for i in range(1, count + 1)]
    # The last panel of each column has the wavelengths.
    labelled = [axes.get_xlabel() == WAVELENGTH for axes in figure.axes[1::2]]
    assert labelled == [i + 2 >= count for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_label_of_a_gallery_is_inside_the_page_and_off_the_ticks(count: int) -> None:
    figure = gallery(WAVE, make_sample(100 * np.ones((count, 1000))), "Title")
    FigureCanvasAgg(figure).draw()
    (label,) = [text for text in figure.texts if "upper panels" in text.get_text()]
    extent = label.get_window_extent()
    assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1
    assert all(
        extent.x1 < tick.get_window_extent().x0
        for axes in figure.axes
        for tick in axes.get_yticklabels()
    )


def test_an_outlier_has_a_page_of_its_own_with_its_rank() -> None:
    upper, lower = outlier_page(WAVE, make_sample(np.ones((3, 1000))), 1, rank=7).axes
    assert title(upper) == "7  2"
    assert upper.get_ylabel() == FLUX
    assert lower.get_ylabel() == RESIDUAL
