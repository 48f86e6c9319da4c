"""Traversal: decoded spectra along each latent dimension (Fig. 20).

All dimensions but one are at the median of the training latents; that one goes from 2 σ below its
median to 2 σ above, within the range of the training set. σ is half the width of the central 68 %,
so that a few distant stars do not determine it.
"""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from scoring.network import OnnxVAE

from .latents import latent_names
from .lines import label_lines, mark_lines
from .panel import FOOT, LABEL_HEIGHT
from .spectrum import flux_limits
from .style import BLACK, PAGE, WAVELENGTH

STEPS: Final = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Steps from the median, in units of σ."""

_COLUMNS = 2
_PANEL = 1.5
_GAP = 0.28
_TITLE = 0.62
_COLOURS = ("#003A5C", "#3A8FC2", "#E58A3A", "#8A3A00")


def robust_sigma(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return σ of each column of (N, K), (K,): half the width of the central 68 %."""
    low, high = np.quantile(values, [0.1587, 0.8413], axis=0)
    return (high - low) / 2


def traverse(
    vae: OnnxVAE, latents: NDArray[np.float32], steps: tuple[float, ...] = STEPS
) -> NDArray[np.float32]:
    """Return the spectra decoded along each dimension: normalised flux (L, S, M).

    Parameters
    ----------
    latents : (R, L) float32
        Training latents, which give median and σ.
    """
    size = latents.shape[1]
    shift = np.asarray(steps)[None, :, None] * np.diag(robust_sigma(latents))[:, None, :]
    points = (np.median(latents, axis=0) + shift).astype(np.float32)
    return vae.decode(points.reshape(-1, size)).reshape(size, len(steps), -1)


def draw_traversal(wave: NDArray[np.float64], spectra: NDArray[np.float32]) -> Figure:
    """Draw decoded spectra (L, 5, M): the median, and for each dimension the differences from it.

    The steps of one dimension differ by less than the lines of the median spectrum are high, so
    that they can only be seen in the difference. Each panel has limits of its own.
    """
    size = len(spectra)
    columns = min(_COLUMNS, size)
    rows = -(-size // columns)
    top = _TITLE + LABEL_HEIGHT + 0.2
    head = top + _PANEL + 2 * _GAP
    height = head + rows * (_PANEL + _GAP) - _GAP + FOOT

    figure = Figure(figsize=(PAGE, height))
    figure.suptitle("Latent traversal", y=1 - 0.08 / height, va="top", weight="bold")
    sides = {"left": 0.68 / PAGE, "right": 1 - 0.16 / PAGE}

    # From unit norm to an rms flux of 1. The middle step is the same in all dimensions.
    flux = spectra * np.sqrt(len(wave))
    median = flux[0, STEPS.index(0)]
    first = figure.add_gridspec(
        1, 1, **sides, top=1 - top / height, bottom=1 - (top + _PANEL) / height
    )
    axes = figure.add_subplot(first[0])
    axes.plot(wave, median, color=BLACK, linewidth=0.7)
    _finish(axes, wave, [median], "all latents at their median", above=LABEL_HEIGHT)
    label_lines(axes)
    axes.tick_params(labelbottom=False)

    grid = figure.add_gridspec(
        rows,
        columns,
        **sides,
        bottom=FOOT / height,
        top=1 - head / height,
        wspace=0.18,
        hspace=_GAP / _PANEL,
    )
    for dimension in range(size):
        axes = figure.add_subplot(grid[divmod(dimension, columns)])
        axes.axhline(0, color=BLACK, linewidth=0.5)
        differences = [
            curve - median for curve, step in zip(flux[dimension], STEPS, strict=True) if step != 0
        ]
        for difference, colour in zip(differences, _COLOURS, strict=True):
            axes.plot(wave, difference, color=colour, linewidth=0.7)
        _finish(axes, wave, differences, latent_names(size)[dimension], above=0.0)
        mark_lines(axes)

        # The last panel of each column has the wavelengths.
        last = dimension + columns >= size
        axes.tick_params(labelbottom=last)
        if last:
            axes.set_xlabel(WAVELENGTH)

    _label(figure)
    return figure


def _finish(
    axes: Axes,
    wave: NDArray[np.float64],
    curves: list[NDArray[np.float32]],
    name: str,
    above: float,
) -> None:
    """Set limits and ticks that suit the curves (M,), and write the name over the panel."""
    axes.set_xlim(wave[0], wave[-1])
    limits = np.array([flux_limits(curve, np.ones_like(curve)) for curve in curves])
    axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.annotate(
        name,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 72 * above + 3),
        textcoords="offset points",
        weight="bold",
    )


def _label(figure: Figure) -> None:
    """Write the label of all vertical axes and the legend of the steps."""
    height = figure.get_size_inches()[1]
    figure.text(
        0.06 / PAGE,
        0.5,
        "flux / rms flux; below the first panel the difference from the median",
        rotation=90,
        va="center",
    )
    names = [f"{step:+.0f} σ".replace("-", "−") for step in STEPS if step != 0]
    figure.legend(
        handles=[
            Line2D([], [], color=colour, label=name)
            for name, colour in zip(names, _COLOURS, strict=True)
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.3 / height),
        ncols=len(names),
        borderaxespad=0,
    )
