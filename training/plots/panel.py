"""Panel: a spectrum above its residual, under a title that tells the facts."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from .lines import label_lines, mark_lines
from .sample import Sample
from .spectrum import draw_residual, draw_spectrum
from .style import BAD, DATA, JOIN, MODEL, POINTS, number, redshift

LABEL_HEIGHT: Final = 0.58
"""Room that the names of lines take above a panel, inches."""
FOOT: Final = 0.45
"""Room for numbers and label of a wavelength axis, inches."""
LEGEND_HEIGHT: Final = 0.3

_LINE = 1.25 * POINTS / 72


def facts_of(sample: Sample, row: int) -> list[str]:
    """Return what a title says below the TARGETID, and on a simulated sky what was injected."""
    facts = [
        f"p {number(sample.p_value[row])}, wmse {number(sample.wmse[row])}, "
        f"NOF {number(sample.nof[row])}, S/N {number(sample.snr[row])}"
    ]
    kind = sample.kind[row]
    if kind:
        facts.append("nothing injected" if kind == "inlier" else f"injected: {kind}")
    return facts


def title_height(sample: Sample) -> float:
    """Return the height of a panel's title, inches."""
    return _LINE * (1 + len(facts_of(sample, 0))) + 0.06


def draw_panel(
    figure: Figure,
    place: SubplotSpec,
    wave: NDArray[np.float64],
    sample: Sample,
    row: int,
    *,
    rank: int | None = None,
    label: bool = True,
) -> tuple[Axes, Axes]:
    """Draw one spectrum into a place of a figure; return the axes of spectrum and residual.

    Parameters
    ----------
    rank : int, optional
        Stands before the TARGETID.
    label : bool
        Name the lines, not just mark them.
    """
    halves = place.subgridspec(2, 1, height_ratios=[2.1, 1], hspace=0.06)
    axes, below = figure.add_subplot(halves[0]), figure.add_subplot(halves[1])
    draw_spectrum(axes, wave, sample, row)
    draw_residual(below, wave, sample, row)
    (label_lines if label else mark_lines)(axes)
    mark_lines(below)
    axes.tick_params(labelbottom=False, bottom=False)
    axes.spines["bottom"].set_visible(False)
    _title(axes, sample, row, rank, LABEL_HEIGHT if label else 0.0)
    return axes, below


def _title(axes: Axes, sample: Sample, row: int, rank: int | None, above: float) -> None:
    """Write name, class and facts, `above` inches over the panel."""
    facts = facts_of(sample, row)
    name = str(sample.targetid[row]) if rank is None else f"{rank}  {sample.targetid[row]}"
    object_ = f"{sample.spectype[row]}, z {redshift(sample.z[row])}"
    texts = [(0.0, "left", "bold", name, len(facts)), (1.0, "right", "normal", object_, len(facts))]
    texts += [(0.0, "left", "normal", fact, i) for i, fact in enumerate(reversed(facts))]
    for x, side, weight, text, line in texts:
        axes.annotate(
            text,
            (x, 1),
            xycoords="axes fraction",
            xytext=(0, 72 * (above + line * _LINE) + 3),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontweight=weight,
        )


def legend(figure: Figure, top: float) -> None:
    """Explain the colours of all panels, `top` inches from the figure's upper edge."""
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=[
            Line2D([], [], color=DATA, label="observed"),
            Line2D([], [], color=MODEL, label="reconstruction"),
            Patch(color=BAD, label="no data"),
            Patch(color=JOIN, label="join of two cameras"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - top / height),
        ncols=4,
        columnspacing=1.6,
        handlelength=1.4,
        borderaxespad=0,
    )
