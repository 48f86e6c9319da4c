"""Outliers: the most anomalous spectra, together and one by one (Figs 10 and 12 of the paper)."""

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .panel import FOOT, LABEL_HEIGHT, LEGEND_HEIGHT, draw_panel, legend, title_height
from .sample import PlotSample
from .style import FLUX, PAGE, POINTS, RESIDUAL, WAVELENGTH

TOP: Final = 10
"""Number of spectra in a gallery of outliers."""

_COLUMNS = 2
_PANEL = 1.5
_TITLE = 0.3


def gallery(wave: NDArray[np.float64], sample: PlotSample, title: str) -> Figure:
    """Draw all spectra of a small sample in two columns, in order.

    The panels of a column share the wavelength axis; the lines are labelled once, at the top.
    """
    columns = min(_COLUMNS, len(sample))
    rows = -(-len(sample) // columns)
    gap = title_height(sample) + 0.04
    head = _TITLE + LEGEND_HEIGHT + LABEL_HEIGHT + title_height(sample)
    height = head + rows * (_PANEL + gap) - gap + FOOT

    figure = Figure(figsize=(PAGE, height))
    figure.suptitle(title, x=0.5, y=1 - 0.08 / height, va="top", fontweight="bold")
    grid = figure.add_gridspec(
        rows,
        columns,
        left=(0.68 if rows > 1 else 0.9) / PAGE,
        right=1 - 0.16 / PAGE,
        bottom=FOOT / height,
        top=1 - head / height,
        wspace=0.14,
        hspace=gap / _PANEL,
    )

    for row in range(len(sample)):
        line, column = divmod(row, columns)
        _, below = draw_panel(
            figure, grid[line, column], wave, sample, row, rank=row + 1, label=line == 0
        )
        if row + columns < len(sample):
            below.tick_params(labelbottom=False)
        else:
            below.set_xlabel(WAVELENGTH)

    # A single row is not as high as the label is long.
    between = ";   " if rows > 1 else "\n"
    figure.supylabel(
        f"upper panels: {FLUX}{between}lower panels: {RESIDUAL}",
        x=0.06 / PAGE,
        ha="left",
        fontsize=POINTS,
    )
    legend(figure, _TITLE)
    return figure


def outlier_page(wave: NDArray[np.float64], sample: PlotSample, row: int, rank: int) -> Figure:
    """Draw one spectrum on a page of its own."""
    head = LEGEND_HEIGHT + LABEL_HEIGHT + title_height(sample)
    height = head + 3.5 + FOOT

    figure = Figure(figsize=(PAGE, height))
    grid = figure.add_gridspec(
        1,
        1,
        left=0.62 / PAGE,
        right=1 - 0.16 / PAGE,
        bottom=FOOT / height,
        top=1 - head / height,
    )

    axes, below = draw_panel(figure, grid[0], wave, sample, row, rank=rank)
    axes.set_ylabel(FLUX)
    below.set_ylabel(RESIDUAL)
    below.set_xlabel(WAVELENGTH)
    figure.align_ylabels()
    legend(figure, 0.06)
    return figure
