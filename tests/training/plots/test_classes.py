"""The members shown of a class are typical ones."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.training.plots.helpers import WAVE, gaussian_line, make_sample
from training.plots.classes import CLASSES, EXAMPLES, members, reconstructions
from training.plots.sample import PlotSample


@pytest.fixture
def galaxies() -> PlotSample:
    """Twenty galaxies whose Hα grows with the row; wmse is 1 but for one of the quiescent."""
    flux = 1 + np.arange(20)[:, None] * gaussian_line(6564.6, 4.0, 1.0)
    wmse = np.ones(20, np.float32)
    wmse[1] = 9
    return make_sample(flux, wmse=wmse)


def test_galaxies_are_divided_by_their_halpha(galaxies: PlotSample) -> None:
    quiescent, emission = (members(galaxies, WAVE, n) for n in ("quiescent", "emission_line"))
    assert len(quiescent) == len(emission) == EXAMPLES
    assert set(quiescent) <= set(range(4))
    assert set(emission) <= set(range(16, 20))
    # Far from the median wmse of its class.
    assert 1 not in quiescent


def test_anomalies_and_faint_spectra_are_not_typical() -> None:
    sample = make_sample(
        np.ones((4, 1000)),
        spectype=np.full(4, "STAR"),
        snr=np.array([50, 40, 30, 6], np.float32),
        anomaly=np.array([True, False, False, False]),
    )
    assert members(sample, WAVE, "star").tolist() == [1, 2]


def test_a_class_without_spectra_has_no_members(galaxies: PlotSample) -> None:
    assert len(members(galaxies, WAVE, "qso")) == 0


@pytest.mark.parametrize(("last", "zooms"), [(7556, 2), (6400, 1), (3700, 0)])
def test_a_page_zooms_on_the_regions_that_the_grid_covers(last: float, zooms: int) -> None:
    # Of emission-line galaxies: Hα and [O II].
    assert [zoom.name for zoom in CLASSES["emission_line"][1]] == ["Hα, [N II], [S II]", "[O II]"]
    inside = last >= WAVE
    sample = make_sample(np.linspace(1, 2, inside.sum()) * np.ones((3, 1)))
    figure = reconstructions(WAVE[inside], sample, "emission_line")
    # Spectrum and residual of the first, and each zoom for all three.
    assert len(figure.axes) == 2 + 3 * zooms


@pytest.mark.parametrize("count", [1, 2])
def test_few_spectra_fill_the_page(count: int) -> None:
    sample = make_sample(1000 * np.linspace(1, 2, 1000) * np.ones((count, 1)))
    figure = reconstructions(WAVE, sample, "star")
    FigureCanvasAgg(figure).draw()
    panel, _, *zooms = figure.axes
    assert len(zooms) == 2 * count
    right = panel.get_position().x1
    assert zooms[count - 1].get_position().x1 == pytest.approx(right)
    # The labels written beside the panels leave room for the numbers on the ticks.
    labels = [text.get_window_extent() for text in figure.texts if text.get_rotation() == 90]
    assert len(labels) == 2
    for label, axes in zip(labels, zooms[::count], strict=True):
        assert all(label.x1 < tick.get_window_extent().x0 for tick in axes.get_yticklabels())
