"""Latent map: the reference spectra on a plane, by class."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .style import CLASS_COLOURS, PAGE

_MARKERS = {"GALAXY": ("o", 1.4), "QSO": ("D", 4.0), "STAR": ("^", 4.0)}
"""Marker of each class and its size, points: classes differ in shape as well as in colour."""


def draw_map(place: NDArray[np.float32], spectype: NDArray[np.str_]) -> Figure:
    """Draw places (R, 2) on the map by class (R,), the most frequent class below the others."""
    figure = Figure(figsize=(PAGE, 0.75 * PAGE), layout="constrained")
    axes = figure.subplots()
    members = {name: place[spectype == name] for name in CLASS_COLOURS}

    shown = {name: points for name, points in members.items() if len(points)}
    for name, points in sorted(shown.items(), key=lambda item: -len(item[1])):
        marker, size = _MARKERS[name]
        axes.plot(
            *points.T,
            marker,
            ms=size,
            markeredgewidth=0.3 if name != "GALAXY" else 0,
            markeredgecolor="white",
            color=CLASS_COLOURS[name],
            alpha=0.5 if len(points) > len(place) / 2 else 1,
            label=f"{name}, {len(points)}",
            rasterized=True,
        )

    axes.set_xlabel("map, first coordinate")
    axes.set_ylabel("map, second coordinate")
    axes.set_aspect("equal", adjustable="datalim")
    for line in axes.legend(loc="best").get_lines():
        line.set(markersize=6, alpha=1)
    return figure
