"""Panel: a spectrum above its residual, under a title with its redshift and scores."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from .lines import label_lines, mark_lines
from .sample import PlotSample
from .spectrum import draw_residual, draw_spectrum
from .style import BAD, DATA, MODEL, OVERLAP, POINTS, number, redshift

LABEL_HEIGHT: Final = 0.66
"""Height of the line labels above a panel, inches."""
FOOT: Final = 0.45
"""Height of the tick labels and the label of a wavelength axis, inches."""
LEGEND_HEIGHT: Final = 0.3

_LINE = 1.25 * POINTS / 72


def title_lines(sample: PlotSample, row: int) -> list[str]:
    """Return the lines below the TARGETID: scores and, on a simulated sky, what was injected."""
    lines = [
        f"p {number(sample.p_value[row])}, wmse {number(sample.wmse[row])}, "
        f"NOF {number(sample.nof[row])}, S/N {number(sample.snr[row])}"
    ]
    kind = sample.kind[row]
    if kind:
        lines.append("nothing injected" if kind == "inlier" else f"injected: {kind}")
    return lines


def title_height(sample: PlotSample) -> float:
    """Return the height of the title of a panel, inches."""
    return _LINE * (1 + len(title_lines(sample, 0))) + 0.06


def draw_panel(
    figure: Figure,
    cell: SubplotSpec,
    wave: NDArray[np.float64],
    sample: PlotSample,
    row: int,
    *,
    rank: int | None = None,
    label: bool = True,
) -> tuple[Axes, Axes]:
    """Draw one spectrum into a cell of a figure; return the axes of spectrum and residual.

    Parameters
    ----------
    rank : int, optional
        Printed before the TARGETID.
    label : bool
        Label the lines, not only mark them.
    """
    halves = cell.subgridspec(2, 1, height_ratios=[2.1, 1], hspace=0.06)
    axes, below = figure.add_subplot(halves[0]), figure.add_subplot(halves[1])

    draw_spectrum(axes, wave, sample, row)
    draw_residual(below, wave, sample, row)
    (label_lines if label else mark_lines)(axes)
    mark_lines(below)

    axes.tick_params(labelbottom=False, bottom=False)
    axes.spines["bottom"].set_visible(False)
    _title(axes, sample, row, rank, LABEL_HEIGHT if label else 0.0)
    return axes, below


def _title(axes: Axes, sample: PlotSample, row: int, rank: int | None, above: float) -> None:
    """Write TARGETID, class, redshift and scores, `above` inches over the panel."""
    lines = title_lines(sample, row)
    name = str(sample.targetid[row]) if rank is None else f"{rank}  {sample.targetid[row]}"
    object_ = f"{sample.spectype[row]}, z {redshift(sample.z[row])}"

    # x, alignment, weight, text and the number of lines below it.
    texts = [(0.0, "left", "bold", name, len(lines)), (1.0, "right", "normal", object_, len(lines))]
    texts += [(0.0, "left", "normal", line, i) for i, line in enumerate(reversed(lines))]

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
    """Draw the legend of all panels, `top` inches from the upper edge of the figure."""
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=[
            Line2D([], [], color=DATA, label="observed"),
            Line2D([], [], color=MODEL, label="reconstruction"),
            Patch(color=BAD, label="no data"),
            Patch(color=OVERLAP, label="overlap of two cameras"),
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - top / height),
        ncols=4,
        columnspacing=1.6,
        handlelength=1.4,
        borderaxespad=0,
    )
