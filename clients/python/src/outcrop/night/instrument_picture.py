"""Instrument picture: the tested places of a night's instrument, those that stand out named.

Needs matplotlib, which is imported only with this module.
"""

# pyright: reportUnknownMemberType=false

import io
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..spectra import CAMERAS
from .instrument import FIBER, PETAL_CAMERA, WAVELENGTH, InstrumentReport, Place, wave_of

_OBSERVED, _EXPECTED, _SHADED = "#666666", "#0072B2", "#F9F3B0"
_FOUND: Final = "#D55E00"
_SIZE: Final = (9.0, 9.0)  # inches
_DPI: Final = 150
_POINTS: Final = 9.0
_NAMED: Final = 10


class InstrumentPicture(Figure):
    """The spectra with segments by observed wavelength, by fiber, and by petal and camera.

    Parameters
    ----------
    report : InstrumentReport
    """

    def __init__(self, report: InstrumentReport) -> None:
        super().__init__(figsize=_SIZE, dpi=_DPI, layout="constrained")
        by_wavelength, by_fiber, by_petal = self.subplots(
            3, 1, gridspec_kw={"height_ratios": (1, 1, 0.7)}
        )
        # The most significant first: they are named.
        places = sorted(report.outstanding, key=lambda place: -place.significance)
        _draw_wavelengths(by_wavelength, report, [p for p in places if p.kind == WAVELENGTH])
        _draw_fibers(by_fiber, report, [p for p in places if p.kind == FIBER])
        _draw_petals(self, by_petal, report, [p for p in places if p.kind == PETAL_CAMERA])
        for axes in (by_wavelength, by_fiber):
            axes.set_ylabel("spectra with a segment", fontsize=_POINTS)
            # Above what is observed there is room for the legend.
            axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(loc="upper right", fontsize=_POINTS, frameon=False)
            axes.tick_params(labelsize=_POINTS)

    def png(self) -> bytes:
        """Return the picture as PNG."""
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()


def _draw_wavelengths(axes: Axes, report: InstrumentReport, places: list[Place]) -> None:
    tested = report.wavelengths
    edges = wave_of(np.arange(len(tested.number) + 1))
    axes.stairs(tested.number, edges, color=_OBSERVED, label="observed")
    axes.stairs(tested.expected, edges, color=_EXPECTED, label="expected, redshifts shuffled")
    for place in places:
        axes.axvspan(*place.wave, color=_SHADED, zorder=0)
    for place in places[:_NAMED]:
        name = f"{place.wave[0]:.0f}-{place.wave[1]:.0f} Å"
        axes.annotate(name, (place.wave[1], place.number), color=_FOUND, fontsize=_POINTS, va="top")
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    axes.set_xlabel("observed wavelength (Å, vacuum)", fontsize=_POINTS)


def _draw_fibers(axes: Axes, report: InstrumentReport, places: list[Place]) -> None:
    tested = report.fibers
    axes.plot(tested.label, tested.number, ".", color=_OBSERVED, markersize=3, label="observed")
    (line,) = axes.plot(tested.label, tested.expected, color=_EXPECTED, linewidth=0.8)
    line.set_label("expected, fibers shuffled")
    for place in places:
        axes.plot(place.fiber, place.number, "o", color=_FOUND, markersize=5)
    for place in places[:_NAMED]:
        axes.annotate(
            f" {place.fiber}", (place.fiber, place.number), color=_FOUND, fontsize=_POINTS, va="top"
        )
    axes.set_xlabel("fiber", fontsize=_POINTS)


def _draw_petals(figure: Figure, axes: Axes, report: InstrumentReport, places: list[Place]) -> None:
    tested, cameras = report.petal_cameras, CAMERAS
    petals = np.unique(tested.label[:, 0])
    if not len(petals):
        axes.set_axis_off()
        return
    shape = (len(cameras), len(petals))
    number, expected = (each.reshape(shape) for each in (tested.number, tested.expected))
    # One more of each, since there may be none.
    ratio = (number + 1) / (expected + 1)
    image = axes.imshow(np.log2(ratio), cmap="PuOr_r", vmin=-2, vmax=2, aspect="auto")
    figure.colorbar(image, ax=axes, label="log2(observed / expected)")

    found = {(place.petal, place.camera) for place in places}
    for (row, column), count in np.ndenumerate(number):
        bold = (int(petals[column]), cameras[row]) in found
        text = axes.text(column, row, str(count), ha="center", va="center", fontsize=_POINTS)
        text.set(fontweight="bold" if bold else "normal", color=_FOUND if bold else "black")
    axes.set_xticks(range(len(petals)), [str(one) for one in petals], fontsize=_POINTS)
    axes.set_yticks(range(len(cameras)), cameras, fontsize=_POINTS)
    axes.set_xlabel("petal", fontsize=_POINTS)
    axes.set_ylabel("camera", fontsize=_POINTS)
