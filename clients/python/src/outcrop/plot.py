"""Plot: the portrait of a spectrum, with its reconstruction and the residual.

Where it is explained, the segments that the model does not explain are shaded behind the residual
and underlined below the flux, and what was found is written above.
Bins without data and the overlaps of the cameras are shaded, because the data are least reliable
there. The limits of the flux follow the observed spectrum; values beyond them are marked by an
arrow at the edge, the farthest with its value. The colours are of the colour-blind safe palette of
Okabe and Ito.

Needs matplotlib, which only this module imports.
"""

# pyright: reportUnknownMemberType=false

import io
import textwrap
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

OVERLAPS: Final = ((5760.0, 5800.0), (7520.0, 7620.0))
"""Overlaps of two cameras, observed frame, vacuum Å."""

_BLACK, _OBSERVED, _RECONSTRUCTION = "#000000", "#666666", "#D55E00"
_BAD, _OVERLAP = "#DADADA", "#CFE8F7"
_SEGMENT, _EDGE = "#F9F3B0", "#E69F00"
_POINTS: Final = 9.0
_SIZE: Final = (7.5, 4.8)  # inches, without a sentence
_LINE: Final = 0.165  # inches, of a line of the sentence
_LETTERS: Final = 92  # of it
_UNDERLINE: Final = 0.04  # of the upper panel's height
_DPI: Final = 150
_USUAL: Final = (0.005, 0.995)
"""Quantiles of the values that are always within the limits."""


@dataclass(frozen=True, eq=False)
class DrawnSpectrum:
    """What a portrait shows.

    Attributes
    ----------
    title, subtitle : str
    wave : (M,) float64
        Centres of the rest-frame bins, vacuum Å.
    flux, ivar, reconstruction : (M,) float32
        1e-17 erg / (s cm2 Å), and its inverse variance: 0 in bins without data.
    z : float
        Redshift; NaN where unknown.
    sentence : str
        What was found; empty where it is not explained.
    segments : tuple of (float, float)
        First and last wavelength of each, rest frame, vacuum Å.
    """

    title: str
    subtitle: str
    wave: NDArray[np.float64]
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    z: float
    sentence: str = ""
    segments: tuple[tuple[float, float], ...] = ()


class Portrait(Figure):
    """The figure of one spectrum; Jupyter shows it, ``savefig`` writes it.

    Parameters
    ----------
    spectrum : DrawnSpectrum
    """

    def __init__(self, spectrum: DrawnSpectrum) -> None:
        width, plain = _SIZE
        # No line ends within "p = 0.1".
        sentence = textwrap.wrap(spectrum.sentence.replace(" = ", "\xa0=\xa0"), _LETTERS)
        height = plain + _LINE * len(sentence)
        super().__init__(figsize=(width, height), dpi=_DPI)
        # Lengths are shares of the figure: a sentence makes it higher, not its panels smaller.
        share = plain / height

        above, below = self.subplots(
            2,
            1,
            sharex=True,
            gridspec_kw={
                **{"height_ratios": (2.1, 1), "hspace": 0.06},
                **{"left": 0.1, "right": 0.98, "bottom": 0.1 * share, "top": 0.76 * share},
            },
        )

        good = spectrum.ivar > 0
        flux = np.where(good, spectrum.flux, np.nan)
        residual = np.where(
            good, (spectrum.flux - spectrum.reconstruction) * np.sqrt(spectrum.ivar), np.nan
        )
        for axes in (above, below):
            _shade(axes, spectrum, good)
        _mark_segments(above, spectrum.segments, _UNDERLINE)
        _mark_segments(below, spectrum.segments, 1.0)
        for axes in (above, below):
            axes.tick_params(direction="in", labelsize=_POINTS)
            axes.spines["right"].set_visible(False)

        _draw_flux(above, spectrum, flux)
        _draw_residual(below, spectrum, residual)
        _add_observed_wavelengths(above, spectrum.z)
        self._add_title(spectrum, sentence, share)

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()

    def _add_title(self, spectrum: DrawnSpectrum, sentence: list[str], share: float) -> None:
        self.text(0.1, 1 - 0.045 * share, spectrum.title, fontsize=_POINTS + 1, fontweight="bold")
        self.text(0.1, 1 - 0.085 * share, spectrum.subtitle, fontsize=_POINTS)
        if sentence:
            text = self.text(0.1, 1 - 0.1 * share, "\n".join(sentence), fontsize=_POINTS)
            text.set(va="top", linespacing=1.2)

        handles = [
            Line2D([], [], color=_OBSERVED, label="observed"),
            Line2D([], [], color=_RECONSTRUCTION, label="reconstruction"),
            Patch(color=_BAD, label="no data"),
            Patch(color=_OVERLAP, label="overlap of two cameras"),
        ]
        if spectrum.segments:
            handles.append(Patch(facecolor=_SEGMENT, edgecolor=_EDGE, label="segment"))
        self.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.09, 0.91 * share),
            ncols=len(handles),
            frameon=False,
            fontsize=_POINTS,
            handlelength=1.4,
            columnspacing=1.4,
        )


def _draw_flux(axes: Axes, spectrum: DrawnSpectrum, flux: NDArray[np.floating]) -> None:
    low, high = flux_limits(flux)
    axes.set_ylim(low, high)
    axes.plot(spectrum.wave, flux, color=_OBSERVED, linewidth=0.6)
    axes.plot(spectrum.wave, spectrum.reconstruction, color=_RECONSTRUCTION, linewidth=0.8)
    _mark_clipped(axes, spectrum.wave, flux, label=True)
    axes.set_ylabel(
        "flux / 10$^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$",
        fontsize=_POINTS,
    )
    axes.tick_params(labelbottom=False)


def _draw_residual(axes: Axes, spectrum: DrawnSpectrum, residual: NDArray[np.floating]) -> None:
    usual = np.nanquantile(np.abs(residual), _USUAL[1]) if np.isfinite(residual).any() else 0.0
    limit = 1.2 * max(float(usual), 5.0)
    axes.set_xlim(spectrum.wave[0], spectrum.wave[-1])
    axes.set_ylim(-limit, limit)
    axes.axhline(0, color=_BLACK, linewidth=0.5)
    axes.plot(spectrum.wave, residual, color=_OBSERVED, linewidth=0.5)
    _mark_clipped(axes, spectrum.wave, residual, label=False)
    axes.set_ylabel("residual / σ", fontsize=_POINTS)
    axes.set_xlabel("rest-frame wavelength / Å (vacuum)", fontsize=_POINTS)
    axes.spines["top"].set_visible(False)


def _add_observed_wavelengths(axes: Axes, z: float) -> None:
    if not _is_known(z):
        axes.spines["top"].set_visible(False)
        return

    def to_observed(wave: Any) -> Any:
        return wave * (1 + z)

    def to_rest(wave: Any) -> Any:
        return wave / (1 + z)

    top = axes.secondary_xaxis("top", functions=(to_observed, to_rest))
    top.set_xlabel("observed wavelength / Å", fontsize=_POINTS)
    top.tick_params(direction="in", labelsize=_POINTS)


def flux_limits(flux: NDArray[np.floating]) -> tuple[float, float]:
    """Return the limits of a panel for a spectrum (M,), NaN where it has no data.

    All values are within the limits, except spikes that exceed the range of the others by far.
    """
    values = flux[np.isfinite(flux)]
    if not len(values):
        return -1.0, 1.0

    low, high = (float(each) for each in np.quantile(values, _USUAL))
    size = max(high - low, 1e-3 * abs(high), 1e-6)
    lowest, highest = float(values.min()), float(values.max())
    bottom = lowest if lowest > low - size else low - size / 2
    top = highest if highest < high + 3 * size else high + size / 2

    margin = 0.06 * max(top - bottom, size)
    return bottom - margin, top + margin


def _is_known(z: float) -> bool:
    return bool(np.isfinite(z)) and z > -1


def _shade(axes: Axes, spectrum: DrawnSpectrum, good: NDArray[np.bool_]) -> None:
    wave = spectrum.wave
    half = (wave[1] - wave[0]) / 2
    bad = [(wave[start] - half, wave[stop - 1] + half) for start, stop in _runs(~good)]
    overlaps: list[tuple[float, float]] = []
    if _is_known(spectrum.z):
        overlaps = [(low / (1 + spectrum.z), high / (1 + spectrum.z)) for low, high in OVERLAPS]
    for spans, colour in ((overlaps, _OVERLAP), (bad, _BAD)):
        for low, high in spans:
            axes.axvspan(low, high, color=colour, linewidth=0, zorder=0)


def _mark_segments(axes: Axes, segments: tuple[tuple[float, float], ...], height: float) -> None:
    """Shade segments from the bottom of a panel to a height, a share of it."""
    for low, high in segments:
        # The edge shows a segment of a single bin, which is less than a pixel wide.
        span = axes.axvspan(low, high, 0, height, facecolor=_SEGMENT, edgecolor=_EDGE)
        span.set(linewidth=0.5, zorder=0.5)


def _runs(where: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and stop of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _mark_clipped(
    axes: Axes, wave: NDArray[np.float64], values: NDArray[np.floating], *, label: bool
) -> None:
    """Mark each run of values (M,) beyond the panel by an arrow; label the farthest."""
    low, high = axes.get_ylim()
    for sign, edge, marker in ((1, high, "^"), (-1, low, "v")):
        signed = np.nan_to_num(sign * values, nan=-np.inf)
        runs = _runs(signed > sign * edge)
        peaks = [start + int(np.argmax(signed[start:stop])) for start, stop in runs]
        if not peaks:
            continue

        axes.plot(
            wave[peaks], [edge] * len(peaks), marker, color=_BLACK, markersize=3.5, clip_on=False
        )
        if label:
            far = max(peaks, key=lambda peak: signed[peak])
            left = wave[far] > 0.5 * (wave[0] + wave[-1])
            axes.annotate(
                f"{values[far]:.3g}" if abs(values[far]) < 1000 else f"{values[far]:,.0f}",
                (wave[far], edge),
                xytext=(-5 if left else 5, -3 if sign > 0 else 3),
                textcoords="offset points",
                ha="right" if left else "left",
                va="top" if sign > 0 else "bottom",
                fontsize=_POINTS,
            )
