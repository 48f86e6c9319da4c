"""Classes: reconstructions of typical members of each class (Figs 2 to 8).

A page shows one class: the spectrum of one typical member, and below it zooms on the main lines of
three members. Typical members have a wmse close to the median of their class and an S/N above its
median. Spectra flagged as anomalies are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .indices import of_reconstructions
from .lines import label_lines
from .panel import FOOT, LABEL_HEIGHT, LEGEND_HEIGHT, draw_panel, legend, title_height
from .sample import PlotSample
from .spectrum import shade
from .style import DATA, FLUX, MODEL, PAGE, RESIDUAL, WAVELENGTH, number

EXAMPLES: Final = 3
_SHARE = 0.2
# Inches: the page's title, the spectrum with its residual, the zooms' names, one zoom.
_TITLE, _SPECTRUM, _NAMES, _ZOOM = 0.3, 2.9, 0.45, 1.45
_SIDES = {"left": 0.85 / PAGE, "right": 1 - 0.16 / PAGE}
_FLUX = FLUX.replace(" / ", "\n/ ")


@dataclass(frozen=True)
class Zoom:
    """A region of lines: name, limits in vacuum Å."""

    name: str
    low: float
    high: float


CA_HK = Zoom("Ca K and H", 3880.0, 4020.0)
NA_D = Zoom("Na D", 5840.0, 5950.0)
H_ALPHA = Zoom("Hα, [N II], [S II]", 6500.0, 6780.0)
O_II = Zoom("[O II]", 3680.0, 3780.0)
H_BETA = Zoom("Hβ, [O III]", 4810.0, 5060.0)

CLASSES: Final[Mapping[str, tuple[str, tuple[Zoom, ...]]]] = {
    "quiescent": ("quiescent galaxies", (CA_HK, NA_D)),
    "emission_line": ("emission-line galaxies", (H_ALPHA, O_II)),
    "qso": ("quasars and AGN", (H_ALPHA, H_BETA)),
    "star": ("stars", (CA_HK, NA_D)),
}
"""Title of each page, and the regions that the paper zooms in on."""


def members(sample: PlotSample, wave: NDArray[np.float64], name: str) -> NDArray[np.intp]:
    """Return the rows of up to three typical members of a class.

    Quiescent galaxies are the fifth with the smallest equivalent width of Hα in their
    reconstruction, emission-line galaxies the fifth with the largest.
    """
    spectype = {"qso": "QSO", "star": "STAR"}.get(name, "GALAXY")
    rows = np.flatnonzero((sample.spectype == spectype) & ~sample.anomaly)

    if spectype == "GALAXY" and len(rows):
        width = of_reconstructions(sample.rows(rows), wave, "Hα")
        if np.isfinite(width).any():
            low, high = np.nanquantile(width, [_SHARE, 1 - _SHARE])
            rows = rows[width <= low] if name == "quiescent" else rows[width >= high]
    if len(rows) == 0:
        return rows

    bright = rows[sample.snr[rows] >= np.median(sample.snr[rows])]
    distance = np.abs(sample.wmse[bright] - np.median(sample.wmse[rows]))
    return bright[np.argsort(distance, kind="stable")[:EXAMPLES]]


def reconstructions(wave: NDArray[np.float64], sample: PlotSample, name: str) -> Figure:
    """Draw a page of up to three spectra, the members of one class."""
    title, zooms = CLASSES[name]
    inside = [zoom for zoom in zooms if wave[0] <= zoom.low and zoom.high <= wave[-1]]

    # Distances from the upper edge, inches.
    top = _TITLE + LEGEND_HEIGHT + title_height(sample) + LABEL_HEIGHT
    zooms_top = top + _SPECTRUM + FOOT + _NAMES
    pitch = LABEL_HEIGHT + _ZOOM + FOOT
    height = zooms_top + pitch * len(inside) if inside else top + _SPECTRUM + FOOT

    figure = Figure(figsize=(PAGE, height))
    figure.suptitle(f"Reconstructions of {title}", y=1 - 0.08 / height, va="top", weight="bold")
    legend(figure, _TITLE)
    grid = figure.add_gridspec(
        1, 1, **_SIDES, top=1 - top / height, bottom=1 - (top + _SPECTRUM) / height
    )
    axes, below = draw_panel(figure, grid[0], wave, sample, 0)
    axes.set_ylabel(FLUX)
    below.set_ylabel(RESIDUAL)
    below.set_xlabel(WAVELENGTH)
    figure.align_ylabels([axes, below])

    for i, zoom in enumerate(inside):
        upper = zooms_top + i * pitch + LABEL_HEIGHT
        _draw_zooms(figure, wave, sample, zoom, upper, named=i == 0)

    return figure


def _draw_zooms(
    figure: Figure,
    wave: NDArray[np.float64],
    sample: PlotSample,
    zoom: Zoom,
    upper: float,
    *,
    named: bool,
) -> None:
    """Draw one region of all spectra side by side, `upper` inches from the figure's upper edge."""
    height = figure.get_size_inches()[1]
    grid = figure.add_gridspec(
        1,
        len(sample),
        **_SIDES,
        top=1 - upper / height,
        bottom=1 - (upper + _ZOOM) / height,
        wspace=0.28,
    )
    for row in range(len(sample)):
        axes = figure.add_subplot(grid[row])
        _draw_zoom(axes, wave, sample, row, zoom)
        axes.set_xlabel(WAVELENGTH if row == (len(sample) - 1) // 2 else "")
        if named:
            _name(axes, sample, row)

    figure.text(0.06 / PAGE, 1 - (upper + _ZOOM / 2) / height, _FLUX, rotation=90, va="center")


def _draw_zoom(
    axes: Axes, wave: NDArray[np.float64], sample: PlotSample, row: int, zoom: Zoom
) -> None:
    near = (wave >= zoom.low) & (wave <= zoom.high)
    flux, ivar, model = sample.spectrum(row)
    seen = np.where(ivar > 0, flux, np.nan)

    axes.set_xlim(zoom.low, zoom.high)
    shown = flux[near & (ivar > 0)] if (near & (ivar > 0)).any() else model[near]
    margin = 0.07 * float(shown.max() - shown.min())
    axes.set_ylim(float(shown.min()) - margin, float(shown.max()) + margin)

    shade(axes, wave, ivar > 0, float(sample.z[row]))
    axes.step(wave, seen, where="mid", color=DATA, linewidth=0.9)
    axes.plot(wave, model, color=MODEL, linewidth=1.2, alpha=0.75)
    label_lines(axes)
    axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _name(axes: Axes, sample: PlotSample, row: int) -> None:
    axes.annotate(
        f"{sample.targetid[row]}\nS/N {number(sample.snr[row])}, wmse {number(sample.wmse[row])}",
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 72 * LABEL_HEIGHT + 2),
        textcoords="offset points",
        va="bottom",
    )
