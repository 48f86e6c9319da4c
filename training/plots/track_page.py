"""Track page: a track through latent space and the spectra along it (Figs 14 to 19)."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .latents import latent_names
from .lines import label_lines, mark_lines
from .panel import FOOT, LABEL_HEIGHT
from .sample import PlotSample
from .style import BLACK, PAGE, WAVELENGTH, number, redshift
from .tracks import Track, TrackSpec

_COLOURS = "viridis"
# Numbers are white on the darker colours.
_WHITE_UNTIL = 0.6
# Inches: the title, the maps of latent space, the spectrum of one step.
_TITLE, _MAP, _STEP = 0.35, 2.5, 1.15
_SIDES = {"left": 0.62 / PAGE, "right": 1 - 0.16 / PAGE}


def stack(sample: PlotSample, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the ivar-weighted mean (M,) of spectra, each scaled to an rms flux of 1.

    NaN where none of the spectra has data.
    """
    chosen = sample.spectrum_row[rows]
    flux, ivar = sample.spectra.flux[chosen], sample.spectra.ivar[chosen]
    scale = sample.norm[rows, None].astype(np.float64) / np.sqrt(flux.shape[1])
    flux, weight = flux / scale, ivar * scale**2
    total = weight.sum(axis=0)
    summed = (flux * weight).sum(axis=0)
    return np.divide(summed, total, out=np.full(len(total), np.nan), where=total > 0)


def draw_track(
    wave: NDArray[np.float64], sample: PlotSample, spec: TrackSpec, found: Track
) -> Figure:
    """Draw the track in latent space, and below it the spectra along it.

    Parameters
    ----------
    sample : PlotSample
        The sample in which `found` was found.
    """
    steps = len(found.points)
    colours = mpl.colormaps[_COLOURS](np.linspace(0, 0.85, steps))
    head = _TITLE + _MAP + FOOT + LABEL_HEIGHT + 0.25
    height = head + _STEP * steps + FOOT

    figure = Figure(figsize=(PAGE, height))
    figure.suptitle(
        f"A track from the {spec.ends[0]} to the {spec.ends[1]} of {len(sample)} "
        f"{spec.spectype} spectra",
        y=1 - 0.08 / height,
        va="top",
        weight="bold",
    )

    # The track in the three latents that change most.
    maps = figure.add_gridspec(
        1,
        2,
        **_SIDES,
        top=1 - _TITLE / height,
        bottom=1 - (_TITLE + _MAP) / height,
        wspace=0.25,
    )
    first, second, third = _dimensions(sample, found)
    for i, y in enumerate((second, third)):
        _draw_map(figure.add_subplot(maps[i]), sample, found, (first, y), colours)
    figure.text(
        0.5,
        1 - (head - LABEL_HEIGHT - 0.12) / height,
        "grey: the spectrum nearest to each step; coloured: the stack of its nearest "
        f"{found.neighbours.shape[1]}",
        ha="center",
    )

    # One spectrum for each step.
    grid = figure.add_gridspec(
        steps, 1, **_SIDES, top=1 - head / height, bottom=FOOT / height, hspace=0.1
    )
    for step in range(steps):
        axes = figure.add_subplot(grid[step])
        axes.set_xlabel(WAVELENGTH if step == steps - 1 else "")
        _draw_step(axes, wave, sample, found, step, colours[step])
        (mark_lines if step else label_lines)(axes)
        axes.tick_params(labelbottom=step == steps - 1)
        ends = {0: f", {spec.ends[0]}", steps - 1: f", {spec.ends[1]}"}
        _name(axes, sample, int(found.nearest[step]), f"{step + 1}{ends.get(step, '')}")

    figure.text(
        0.06 / PAGE,
        (FOOT + _STEP * steps / 2) / height,
        "flux / rms flux",
        rotation=90,
        va="center",
    )
    return figure


def _dimensions(sample: PlotSample, found: Track) -> tuple[int, int, int]:
    """Return the three dimensions in which the track is longest, in units of their spread.

    With fewer than three latents, dimensions are repeated.
    """
    spread = sample.latent.std(axis=0) + 1e-9
    order = np.argsort(-np.abs(found.points[-1] - found.points[0]) / spread).tolist()
    first, second, third = (order * 3)[:3] if len(order) < 3 else order[:3]
    return first, second, third


def _draw_map(
    axes: Axes,
    sample: PlotSample,
    found: Track,
    dimensions: tuple[int, int],
    colours: NDArray[np.float64],
) -> None:
    x, y = dimensions

    axes.plot(
        sample.latent[:, x],
        sample.latent[:, y],
        "o",
        ms=1.6,
        markeredgewidth=0,
        color="#B8B8B8",
        rasterized=True,
    )
    axes.plot(found.points[:, x], found.points[:, y], color=BLACK, linewidth=0.8)
    axes.scatter(
        found.points[:, x], found.points[:, y], s=90, c=colours, edgecolors="white", zorder=3
    )
    for step, point in enumerate(found.points):
        axes.annotate(
            str(step + 1),
            (point[x], point[y]),
            color="white" if step < _WHITE_UNTIL * len(found.points) else BLACK,
            ha="center",
            va="center_baseline",
            weight="bold",
            zorder=4,
        )

    # Nearly all spectra and the whole track.
    for dimension, limit in ((x, axes.set_xlim), (y, axes.set_ylim)):
        values = np.concatenate([sample.latent[:, dimension], found.points[:, dimension]])
        low, high = np.quantile(values, [0.002, 0.998])
        low = min(low, found.points[:, dimension].min())
        high = max(high, found.points[:, dimension].max())
        margin = 0.1 * (high - low) or 1.0
        limit(low - margin, high + margin)

    names = latent_names(sample.latent.shape[1])
    axes.set_xlabel(names[x])
    axes.set_ylabel(names[y])


def _draw_step(
    axes: Axes,
    wave: NDArray[np.float64],
    sample: PlotSample,
    found: Track,
    step: int,
    colour: NDArray[np.float64],
) -> None:
    row = int(found.nearest[step])
    scale = float(sample.norm[row]) / np.sqrt(len(wave))
    flux, ivar, _ = sample.spectrum(row)
    good = ivar > 0
    mean = stack(sample, found.neighbours[step])

    axes.plot(wave, np.where(good, flux / scale, np.nan), color="#A8A8A8", linewidth=0.5)
    axes.plot(wave, mean, color=colour, linewidth=0.9)

    seen = flux[good] / scale
    low = min(np.nanmin(mean), np.quantile(seen, 0.005), 0.0)
    high = max(np.nanmax(mean), np.quantile(seen, 0.995))
    axes.set_xlim(wave[0], wave[-1])
    axes.set_ylim(low - 0.06 * (high - low), high + 0.3 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _name(axes: Axes, sample: PlotSample, row: int, name: str) -> None:
    # Behind the text no line of a spectrum or an element.
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    axes.text(0.005, 0.99, name, transform=axes.transAxes, va="top", weight="bold", bbox=paper)
    axes.text(
        0.995,
        0.99,
        f"{sample.targetid[row]}, z {redshift(sample.z[row])}, S/N {number(sample.snr[row])}",
        transform=axes.transAxes,
        va="top",
        ha="right",
        bbox=paper,
    )
