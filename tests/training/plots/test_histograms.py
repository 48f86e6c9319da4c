"""Histograms count the spectra beyond each threshold; medians are those of the top 100."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection

from model_store.bundle import Bundle
from tests.training.plots.helpers import make_sample
from training.plots.histograms import histogram, top_hundred, top_medians
from training.plots.sample import PlotSample


@pytest.fixture
def sample() -> PlotSample:
    """300 galaxies and stars: wmse rises from 1 to 300, nof falls from −1 to −4."""
    return make_sample(
        np.ones((300, 10)),
        spectype=np.repeat(["GALAXY", "STAR"], 150),
        wmse=np.arange(1, 301, dtype=np.float32),
        nof=-np.linspace(1, 4, 300, dtype=np.float32),
        snr=np.arange(300, 0, -1, dtype=np.float32),
    )


def test_the_legend_counts_spectra_by_class_and_beyond_each_threshold(
    sample: PlotSample, bundle: Path
) -> None:
    manifest = Bundle.open(bundle).manifest
    thresholds = manifest.thresholds.model_copy(update={"wmse": 290.5, "nof": -3.5})
    manifest = manifest.model_copy(update={"thresholds": thresholds})
    for score, beyond in (("wmse", 10), ("nof", 50)):
        legend = histogram(sample, manifest, score).axes[0].get_legend()
        assert legend is not None
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels[:3] == ["all, 300", "GALAXY, 150", "STAR, 150"]
        assert labels[3].startswith("1 % threshold served: ")
        assert labels[3].endswith(f", {beyond} beyond")
        assert "in the paper: " in labels[5]


def test_fewer_than_20_spectra_of_a_class_are_drawn_one_by_one(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    sample = make_sample(
        np.ones((40, 10)),
        spectype=np.repeat(["GALAXY", "STAR", "QSO"], [20, 19, 1]),
        wmse=np.linspace(1, 3, 40, dtype=np.float32),
    )
    (axes,) = histogram(sample, manifest, "wmse").axes
    rugs = [one for one in axes.collections if isinstance(one, LineCollection)]
    assert sorted(len(rug.get_segments()) for rug in rugs) == [1, 19]
    assert axes.get_ylabel() == "spectra per bin"

    # Without any histogram there is nothing to count in bins.
    (axes,) = histogram(sample.rows(np.arange(3)), manifest, "wmse").axes
    assert not axes.patches
    assert axes.get_ylabel() == ""


@pytest.mark.parametrize("score", ["wmse", "nof"])
def test_the_legend_hides_no_threshold(sample: PlotSample, bundle: Path, score: str) -> None:
    figure = histogram(sample, Bundle.open(bundle).manifest, score)
    FigureCanvasAgg(figure).draw()
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert legend.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1
    assert legend.get_window_extent().y1 <= figure.bbox.y1


def test_labels_of_the_scores_are_not_longer_than_their_axes(sample: PlotSample) -> None:
    figure = top_hundred(sample)
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        label, panel = axes.yaxis.label.get_window_extent(), axes.get_window_extent()
        assert panel.y0 <= label.y0 < label.y1 <= panel.y1


def test_medians_are_those_of_the_100_most_anomalous(sample: PlotSample) -> None:
    medians = top_medians(sample)
    assert medians["wmse"]["wmse"] == 250.5
    assert medians["wmse"]["snr"] == 50.5
    assert medians["nof"] == medians["wmse"]


def test_both_scores_are_drawn_against_snr_with_the_median_of_the_paper(
    sample: PlotSample,
) -> None:
    for axes, value in zip(top_hundred(sample).axes, (13.0, 2.25), strict=True):
        every, top, _, paper = axes.lines
        assert len(np.asarray(every.get_xdata())) == 300
        assert len(np.asarray(top.get_xdata())) == 100
        assert np.asarray(paper.get_ydata()).item() == value
