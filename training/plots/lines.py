"""Lines: the main spectral lines, and their labels above a panel.

Lines crowd in the blue and around Hα, so not every label fits above its line. Labels are moved
aside by as little as possible, in the least-squares sense, until they do not overlap; a short
leader connects each label with its line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from .style import GREY, POINTS, width_inches


@dataclass(frozen=True)
class DrawnLine:
    """A line, or a blend of lines with one name.

    Attributes
    ----------
    name : str
    wave : tuple of float
        Rest wavelengths, vacuum Å; the label is at the last one.
    """

    name: str
    wave: tuple[float, ...]

    @property
    def centre(self) -> float:
        """Wavelength of the label, vacuum Å."""
        return self.wave[-1]


LINES: Final = (
    DrawnLine("[O II]", (3727.09, 3729.88)),
    DrawnLine("Ca K", (3934.77,)),
    DrawnLine("Ca H", (3969.59,)),
    DrawnLine("Hδ", (4102.89,)),
    DrawnLine("G band", (4305.61,)),
    DrawnLine("Hγ", (4341.68,)),
    DrawnLine("Hβ", (4862.68,)),
    DrawnLine("[O III]", (4960.30, 5008.24)),
    DrawnLine("Mg b", (5168.76, 5185.05, 5174.13)),
    DrawnLine("Na D", (5897.56, 5891.58)),
    DrawnLine("Hα", (6564.61,)),
    DrawnLine("[N II]", (6549.85, 6585.27)),
    DrawnLine("[S II]", (6732.67, 6718.29)),
)
"""Vacuum wavelengths of the NIST Atomic Spectra Database; the G band is CH at 4304.4 Å in air."""

_SPACING = 1.25
"""Distance between neighbouring labels, in units of the font size."""


def spread_labels(
    positions: ArrayLike, spacing: float, low: float, high: float
) -> NDArray[np.float64]:
    """Return ascending positions moved as little as possible to be at least `spacing` apart.

    Parameters
    ----------
    positions : (n,) float, ascending
    low, high : float
        Bounds of the result; the spacing shrinks where they leave too little room.

    Examples
    --------
    >>> from training.plots.lines import spread_labels
    >>> spread_labels([1.0, 5.0, 5.2, 9.0], 1.0, 0.0, 10.0).round(2).tolist()
    [1.0, 4.6, 5.6, 9.0]
    """
    wanted = np.asarray(positions, np.float64)
    if len(wanted) == 0:
        return wanted
    steps = min(spacing, (high - low) / max(len(wanted) - 1, 1)) * np.arange(len(wanted))
    # Positions are at least one spacing apart if they ascend after subtracting the steps.
    moved = np.asarray(isotonic_regression(wanted - steps).x, np.float64)
    moved = np.clip(moved, low, high - steps[-1])
    return (moved + steps).astype(np.float64)


def mark_lines(axes: Axes, lines: Iterable[DrawnLine] = LINES) -> list[DrawnLine]:
    """Draw a dotted vertical line at each spectral line in the panel; return the lines drawn."""
    low, high = axes.get_xlim()
    inside = [line for line in lines if low < line.centre < high]
    axes.vlines(
        [wave for line in inside for wave in line.wave],
        0,
        1,
        transform=axes.get_xaxis_transform(),
        color=GREY,
        linestyle=(0, (1, 2)),
        linewidth=0.6,
        zorder=0.5,
    )
    return inside


def label_lines(axes: Axes, lines: Iterable[DrawnLine] = LINES) -> list[Text]:
    """Mark the lines in the panel and label them above it, without overlaps.

    The limits and the position of the axes must be final.
    """
    inside = sorted(mark_lines(axes, lines), key=lambda line: line.centre)

    # Positions of the labels, in Å.
    low, high = axes.get_xlim()
    per_inch = (high - low) / width_inches(axes)
    spacing = _SPACING * POINTS / 72 * per_inch
    positions = spread_labels([line.centre for line in inside], spacing, low + spacing / 2, high)

    # Leaders, in Å and in units of the panel's height.
    height = axes.get_position().height * axes.figure.get_figure(root=True).get_size_inches()[1]
    leader = 0.11 / height
    leaders = [
        [(line.centre, 1.0), (line.centre, 1 + 0.3 * leader), (label, 1 + 0.9 * leader)]
        for line, label in zip(inside, positions, strict=True)
    ]
    axes.add_collection(
        LineCollection(
            leaders,
            colors=GREY,
            linewidths=0.6,
            clip_on=False,
            transform=axes.get_xaxis_transform(),
        ),
        autolim=False,
    )

    return [
        axes.text(
            position,
            1 + leader,
            line.name,
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=POINTS,
            transform=axes.get_xaxis_transform(),
        )
        for line, position in zip(inside, positions, strict=True)
    ]
