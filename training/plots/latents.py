"""Latents: corner plot of the classes in latent space (Fig. 13)."""

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .histograms import FEWEST, draw_rug
from .sample import PlotSample
from .style import CLASS_COLOURS

_DENSITY_FROM = 300
"""Fewer galaxies are drawn as points: the cells of a density would be almost invisible."""
_CELL = 0.92
_BINS = 48
_GALAXIES = LinearSegmentedColormap.from_list("galaxies", ["#D6E6F2", "#0072B2", "#00263D"])
_TAILS = (0.005, 0.995)


def latent_names(size: int) -> list[str]:
    """Return the names of the dimensions; their order has no meaning."""
    return [f"latent {i + 1}" for i in range(size)]


def corner(sample: PlotSample, shown: NDArray[np.int64]) -> Figure:
    """Draw all pairs of some latents: many galaxies as a density, stars and quasars as points.

    Parameters
    ----------
    shown : (D,) int64
        The latents to draw; about ten fit on a page.
    """
    size = len(shown)
    all_names = latent_names(sample.latent.shape[1])
    names = [all_names[i] for i in shown]
    sample = replace(sample, latent=sample.latent[:, shown])
    ranges = [_range(sample, i) for i in range(size)]

    width = _CELL * size + 0.8
    figure = Figure(figsize=(width, width))
    cells = figure.add_gridspec(
        size,
        size,
        left=0.65 / width,
        right=1 - 0.15 / width,
        bottom=0.55 / width,
        top=1 - 0.15 / width,
        wspace=0.06,
        hspace=0.06,
    )

    for i in range(size):
        for j in range(i + 1):
            axes = figure.add_subplot(cells[i, j])
            axes.set_xlim(*ranges[j])
            if i == j:
                _histograms(axes, sample, i, ranges[i])
                axes.spines["left"].set_visible(False)
            else:
                axes.set_ylim(*ranges[i])
                _pair(axes, sample, j, i)

            # Ticks and names at the outer edges only.
            for axis, outer, name in (
                (axes.xaxis, i == size - 1, names[j]),
                (axes.yaxis, j == 0 and i > 0, names[i]),
            ):
                if outer:
                    axis.set_ticks(_inner_ticks(*axis.get_view_interval()))
                    axis.set_label_text(name)
                else:
                    axis.set_ticks([])

    figure.align_labels()
    _legend(figure, sample)
    return figure


def _inner_ticks(low: float, high: float) -> list[float]:
    """Return up to three round ticks away from the ends, where neighbouring panels have theirs."""
    margin = 0.12 * (high - low)
    ticks = MaxNLocator(3, integer=True).tick_values(low, high)
    return [float(tick) for tick in ticks if low + margin < tick < high - margin]


def _range(sample: PlotSample, dimension: int) -> tuple[float, float]:
    """Return limits that contain 99 % of the inliers of each class, with a margin."""
    values = sample.latent[:, dimension]
    groups = [values[(sample.spectype == name) & ~sample.anomaly] for name in CLASS_COLOURS]
    ends = np.array([np.quantile(group, _TAILS) for group in groups if len(group)] or [[-3, 3]])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    margin = 0.08 * (high - low) or 1.0
    return low - margin, high + margin


def _pair(axes: Axes, sample: PlotSample, x: int, y: int) -> None:
    galaxies = sample.spectype == "GALAXY"
    dense = np.count_nonzero(galaxies) >= _DENSITY_FROM
    if dense:
        _density(axes, sample.latent[galaxies, x], sample.latent[galaxies, y])

    for name in ("STAR", "QSO") if dense else ("GALAXY", "STAR", "QSO"):
        members = sample.latent[sample.spectype == name]
        axes.plot(
            members[:, x],
            members[:, y],
            "o",
            ms=1.8,
            markeredgewidth=0,
            color=CLASS_COLOURS[name],
            rasterized=True,
        )


def _density(axes: Axes, x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    limits = (*axes.get_xlim(), *axes.get_ylim())
    density, _, _ = np.histogram2d(x, y, bins=_BINS, range=[limits[:2], limits[2:]])
    axes.imshow(
        np.where(density > 0, density, np.nan).T,
        extent=limits,
        origin="lower",
        aspect="auto",
        cmap=_GALAXIES,
        norm=LogNorm(vmin=1, vmax=max(float(density.max()), 2)),
        interpolation="nearest",
    )


def _histograms(
    axes: Axes, sample: PlotSample, dimension: int, limits: tuple[float, float]
) -> None:
    """Draw the histogram of each class, scaled to the same height; few spectra as ticks."""
    rugs = 0
    for name, colour in CLASS_COLOURS.items():
        members = sample.latent[sample.spectype == name, dimension]
        counts, edges = np.histogram(members, bins=_BINS // 2, range=limits)
        if 0 < len(members) < FEWEST:
            draw_rug(axes, members, colour, name, rugs)
            rugs += 1
        elif counts.any():
            axes.stairs(counts / counts.max(), edges, color=colour, linewidth=1)
    axes.set_ylim(0, 1.15)


def _legend(figure: Figure, sample: PlotSample) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", ms=5, linewidth=1, label=f"{name}, {count}")
        for name, colour in CLASS_COLOURS.items()
        if (count := int(np.count_nonzero(sample.spectype == name)))
    ]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.97, 0.97), fontsize=14)
