"""Traversal: decoded spectra along each latent dimension (Fig. 20).

All dimensions but one are at the median of the training latents; that one goes from 2 σ below its
median to 2 σ above, within the range of the training set. σ is half the width of the central 68 %,
so that a few distant stars do not determine it.
"""

from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from scoring.network import OnnxVAE

from .latents import latent_names
from .lines import label_lines, mark_lines
from .panel import FOOT, LABEL_HEIGHT
from .style import PAGE, WAVELENGTH

STEPS: Final = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Steps from the median, in units of σ."""

_COLUMNS = 2
_PANEL = 1.75
_OFFSET = 1.0
_GAP = 0.28
_TITLE = 0.62
_COLOURS = ("#003A5C", "#3A8FC2", "#555555", "#E58A3A", "#8A3A00")


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
    """Draw decoded spectra (L, 5, M): one panel for each dimension, the steps offset upwards."""
    size = len(spectra)
    rows = -(-size // _COLUMNS)
    head = _TITLE + LABEL_HEIGHT + 0.2
    height = head + rows * (_PANEL + _GAP) - _GAP + FOOT

    figure = Figure(figsize=(PAGE, height))
    figure.suptitle("Latent traversal", y=1 - 0.08 / height, va="top", weight="bold")
    grid = figure.add_gridspec(
        rows,
        _COLUMNS,
        left=0.58 / PAGE,
        right=1 - 0.16 / PAGE,
        bottom=FOOT / height,
        top=1 - head / height,
        wspace=0.14,
        hspace=_GAP / _PANEL,
    )

    # From unit norm to an rms flux of 1, each step above the previous one.
    flux = spectra * np.sqrt(len(wave)) + _OFFSET * np.arange(len(STEPS))[:, None]
    low, high = np.quantile(flux, [0.001, 0.998])
    for dimension in range(size):
        line, column = divmod(dimension, _COLUMNS)
        axes = figure.add_subplot(grid[line, column])
        for step, colour in zip(flux[dimension], _COLOURS, strict=True):
            axes.plot(wave, step, color=colour, linewidth=0.7)
        axes.set_xlim(wave[0], wave[-1])
        axes.set_ylim(low - 0.3, high + 0.6)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        (label_lines if line == 0 else mark_lines)(axes)

        # Ticks and names at the outer edges only.
        last = dimension + _COLUMNS >= size
        axes.tick_params(labelbottom=last, labelleft=column == 0)
        if last:
            axes.set_xlabel(WAVELENGTH)
        axes.annotate(
            latent_names(size)[dimension],
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 72 * LABEL_HEIGHT + 2 if line == 0 else 3),
            textcoords="offset points",
            weight="bold",
        )

    figure.text(
        0.06 / PAGE,
        0.5,
        f"flux / rms flux, offset by {_OFFSET:g} per step",
        rotation=90,
        va="center",
    )
    names = [f"{step:+.0f} σ".replace("-", "−") if step else "median" for step in STEPS]
    figure.legend(
        handles=[
            Line2D([], [], color=colour, label=name)
            for name, colour in zip(names, _COLOURS, strict=True)
        ],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.3 / height),
        ncols=len(STEPS),
        borderaxespad=0,
    )
    return figure
