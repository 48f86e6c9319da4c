"""Style: sizes, colours and number formats that all figures share.

Sizes are inches on the printed page; the font size is 9 points. The colours are the colour-blind
safe palette of Okabe and Ito, and each has one meaning in all figures.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#8C8C8C", "#E3E3E3"

DATA, MODEL = "#666666", VERMILION
"""Colours of a spectrum and of its reconstruction."""
CLASS_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {"GALAXY": BLUE, "QSO": PURPLE, "STAR": GREEN}
)
BAD, OVERLAP = "#DADADA", "#CFE8F7"
"""Shades of bad bins and of the overlaps of cameras."""

PAGE: Final = 7.5
"""Width of the text on a page, inches."""
POINTS: Final = 9.0
"""Font size, points."""
DPI: Final = 150

WAVELENGTH = "rest-frame wavelength / Å (vacuum)"
FLUX = "flux / 10$^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$"
RESIDUAL = "residual / σ"

RC: Final[dict[Any, Any]] = {
    "font.size": POINTS,
    "axes.titlesize": POINTS,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "figure.titlesize": POINTS + 2,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "mathtext.default": "regular",
}


def save(figure: Figure, path: Path, dpi: int = DPI) -> Path:
    """Write a figure as a PNG of 256 colours, a third of the size of one with full colours."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    small = image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    small.save(path, dpi=(dpi, dpi))
    return path


def width_inches(axes: Axes) -> float:
    """Return the width of axes on the page, inches."""
    figure = axes.figure.get_figure(root=True)
    return axes.get_position().width * figure.get_size_inches()[0]


def number(value: float) -> str:
    """Format a number with three digits, as −4.28, 1530 or 1.2 × 10⁻⁷; NaN as a dash."""
    if not np.isfinite(value):
        return "–"
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e6:
        text = f"{value:.0f}" if size >= 100 else f"{value:.3g}"
    else:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return text.replace("-", "−")


def redshift(z: float) -> str:
    """Format a redshift with four decimals, never as −0.0000."""
    return f"{round(z, 4) + 0.0:.4f}".replace("-", "−")


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
