"""Histograms: distributions of the scores with their thresholds (Figs 9 and 11)."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from model_store.bundle import Manifest

from .sample import PlotSample
from .style import BLACK, BLUE, CLASS_COLOURS, GREY, ORANGE, PAGE, PALE, VERMILION, number

PAPER_THRESHOLDS: Mapping[str, float] = {"wmse": 2.55, "nof": -1.44}
"""The 1 % thresholds of Nicolaou et al. 2025, Section 5.2."""
PAPER_TOP: Mapping[str, Mapping[str, float]] = {
    "wmse": {"wmse": 13.0, "snr": 42.0},
    "nof": {"nof": -2.25, "snr": 7.0},
}
"""Medians of the paper's 100 most anomalous by each score, Sections 5.2.1 and 5.2.2."""
TOP_COUNT = 100

SHORT = {"wmse": "wmse", "nof": "NOF"}
SCORE_LABELS = {
    "wmse": "weighted MSE (larger is more anomalous)",
    "nof": "negative outlier factor (smaller is more anomalous)",
    "snr": "S/N per bin",
}
FEWEST: Final = 20
"""Fewer values are drawn one by one: a histogram of so few shows where its bins are."""
_BIN = 0.025
"""Width of a histogram's bins, decades."""
_RUG = 0.04
"""Height of a rug below a histogram, of the panel's; a rug alone is higher."""


def _magnitude(sample: PlotSample, score: str) -> NDArray[np.float64]:
    """Return a score (N,) made positive for a logarithmic axis: wmse, or −nof."""
    values = np.asarray(getattr(sample, score), np.float64)
    return np.maximum(-values if score == "nof" else values, 1e-3)


def _log_axis(axes: Axes, name: str, label: str, sign: str = "") -> None:
    """Make the x or y axis logarithmic, with plain numbers at 1, 2, 3, 5 where there is room."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    (axes.set_xscale if name == "x" else axes.set_yscale)("log")
    axis.set_label_text(label)
    low, high = axis.get_view_interval()
    digits = "1235" if high / low < 20 else "125" if high / low < 200 else "1"

    def label_tick(value: float, _: int) -> str:
        return f"{sign}{number(value)}" if f"{value:e}"[0] in digits else ""

    axis.set_major_formatter(FuncFormatter(label_tick))
    axis.set_minor_formatter(FuncFormatter(label_tick))


def draw_rug(
    axes: Axes,
    values: NDArray[np.floating],
    colour: str,
    label: str,
    row: int,
    height: float = _RUG,
) -> None:
    """Draw a tick at each value, in the given row above the lower edge of the panel."""
    axes.vlines(
        values,
        row * height,
        (row + 0.8) * height,
        transform=axes.get_xaxis_transform(),
        color=colour,
        linewidth=1.3,
        label=label,
    )


def legend_above(axes: Axes, columns: int = 1) -> None:
    """Draw the legend above the panel, where it hides neither data nor thresholds."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, handletextpad=0.5)


def histogram(sample: PlotSample, manifest: Manifest, score: str) -> Figure:
    """Draw the histogram of wmse or nof with three thresholds at 1 %; few values as ticks.

    Parameters
    ----------
    sample : PlotSample
        Spectra with S/N >= 5, as in the paper; the thresholds hold for these.
    score : str
        ``wmse`` or ``nof``.
    """
    values = _magnitude(sample, score)
    few = len(values) < FEWEST
    figure = Figure(figsize=(PAGE, 2.2 if few else 4.2), layout="constrained")
    axes = figure.subplots()

    # Bins of equal width in decades; redrock's classes outlined over all spectra.
    decades = np.log10(values.max() / values.min())
    edges = values.min() * 10 ** np.arange(0, decades + 2 * _BIN, _BIN)
    if few:
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    else:
        axes.hist(values, edges, color=PALE, label=f"all, {len(values)}")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.set_ylabel("spectra per bin")

    rugs = 0
    for name, colour in CLASS_COLOURS.items():
        members = values[sample.spectype == name]
        label = f"{name}, {len(members)}"
        if len(members) >= FEWEST:
            axes.hist(members, edges, histtype="step", color=colour, linewidth=1.1, label=label)
        elif len(members):
            draw_rug(axes, members, colour, label, rugs, 0.2 if few else _RUG)
            rugs += 1

    _log_axis(axes, "x", SCORE_LABELS[score], "−" if score == "nof" else "")

    for threshold, name, colour, dashes in (
        (getattr(manifest.thresholds, score), "served", BLACK, "-"),
        (getattr(manifest.paper_thresholds, score), "of the training set", VERMILION, "--"),
        (PAPER_THRESHOLDS[score], "in the paper", ORANGE, ":"),
    ):
        beyond = int(np.count_nonzero(values > abs(threshold)))
        axes.axvline(
            abs(threshold),
            color=colour,
            linestyle=dashes,
            linewidth=1.3,
            label=f"1 % threshold {name}: {number(threshold)}, {beyond} beyond",
        )

    legend_above(axes, 2)
    return figure


def top_medians(sample: PlotSample) -> dict[str, dict[str, float]]:
    """Return the medians of wmse, nof and S/N of the 100 most anomalous by wmse and by nof."""
    return {
        by: {
            name: float(np.median(getattr(sample.most_anomalous(by, TOP_COUNT), name)))
            for name in ("wmse", "nof", "snr")
        }
        for by in ("wmse", "nof")
    }


def top_hundred(sample: PlotSample) -> Figure:
    """Draw wmse and nof against S/N, with the 100 most anomalous by each and their medians."""
    figure = Figure(figsize=(PAGE, 4.3), layout="constrained")
    medians = top_medians(sample)
    left, right = figure.subplots(1, 2)
    _draw_against_snr(left, sample, "wmse", medians["wmse"], VERMILION)
    _draw_against_snr(right, sample, "nof", medians["nof"], BLUE)
    return figure


def _draw_against_snr(
    axes: Axes, sample: PlotSample, score: str, medians: Mapping[str, float], colour: str
) -> None:
    top = sample.most_anomalous(score, TOP_COUNT)
    points = {"linestyle": "none", "markeredgewidth": 0, "rasterized": True}
    every = _magnitude(sample, score)
    axes.plot(sample.snr, every, "o", ms=1.2, color=GREY, label=f"all, {len(sample)}", **points)
    axes.plot(
        top.snr,
        _magnitude(top, score),
        "o",
        ms=3,
        alpha=0.8,
        color=colour,
        label=f"{len(top)} most anomalous",
        **points,
    )

    for label, values, marker, face in (
        ("their medians", medians, "D", colour),
        ("medians in the paper", PAPER_TOP[score], "*", "white"),
    ):
        axes.plot(
            values["snr"],
            abs(values[score]),
            marker,
            ms=7 if marker == "D" else 12,
            markerfacecolor=face,
            markeredgecolor=BLACK,
            linestyle="none",
            zorder=3,
            label=f"{label}: {number(values[score])} at S/N {number(values['snr'])}",
        )

    _log_axis(axes, "x", SCORE_LABELS["snr"])
    # In two lines, because the panel is lower than one line is long.
    label = SCORE_LABELS[score].replace(" (", "\n(")
    _log_axis(axes, "y", label, "−" if score == "nof" else "")
    legend_above(axes)
