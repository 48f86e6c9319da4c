"""Spectrum: a spectrum with its reconstruction, and the residual in σ.

Bad bins and the overlaps of the cameras are shaded, because the data are least reliable there. The
observed spectrum sets the limits of a panel, never the reconstruction. The limits are robust
against spikes: values beyond them are marked by an arrow at the edge, and an inset shows the
highest peak in full.
"""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from outcrop.spectra import OVERLAPS

from .sample import PlotSample
from .style import BAD, BLACK, DATA, MODEL, OVERLAP, POINTS, number

_BROAD = 15
_STRETCH = 4.0
# Shares of a curve to show, in order of preference.
_SHARES = (1.0, 0.99, 0.75, 0.5)
# Ranges of broad features left free above them for the inset.
_INSET_ROOM = 0.9
# Of the panel's width and height.
_INSET_WIDTH, _INSET_HEIGHT = 0.24, 0.46
# Bins before and after the peak; more before it, where its value is written.
_INSET_BINS = (40, 12)
_SHOWN_RESIDUALS = 0.98
_LEAST_RESIDUAL = 5.0


def flux_limits(flux: NDArray[np.floating], ivar: NDArray[np.float32]) -> tuple[float, float]:
    """Return limits that show all broad features, and narrow ones unless they are far larger.

    Broad features are those that a median filter over 15 bins keeps. Narrow lines and spikes
    extend the limits by up to four times that range upwards and twice downwards; what is larger is
    cut off.
    """
    good = flux[ivar > 0] if (ivar > 0).any() else np.zeros(1, flux.dtype)
    broad = median_filter(good, _BROAD, mode="reflect")
    low, high = min(float(broad.min()), 0.0), float(broad.max())
    size = max(high - low, 1e-3 * float(np.abs(good).max()), 1e-6)

    ups = [float(up) for up in np.quantile(good, _SHARES)]
    downs = [float(down) for down in np.quantile(good, [1 - share for share in _SHARES])]
    top = max(high, next((up for up in ups if up < high + _STRETCH * size), high))
    bottom = min(low, next((d for d in downs if d > low - _STRETCH / 2 * size), low))
    # Where a peak is cut off, leave room for the noise and for the inset.
    if ups[0] > top:
        top = max(top, high + _INSET_ROOM * size)

    margin = 0.06 * max(top - bottom, size)
    return bottom - margin / 2, top + margin


def draw_spectrum(axes: Axes, wave: NDArray[np.float64], sample: PlotSample, row: int) -> None:
    """Draw flux and reconstruction of one spectrum; an inset shows a peak that is cut off."""
    flux, ivar, model = sample.spectrum(row)
    good = ivar > 0
    seen = np.where(good, flux, np.nan)

    axes.set_xlim(wave[0], wave[-1])
    axes.set_ylim(*flux_limits(flux, ivar))
    shade(axes, wave, good, float(sample.z[row]))
    _draw_curves(axes, wave, seen, model)

    _mark_clipped(axes, wave, seen, label_lowest=True)
    clipped = np.flatnonzero(seen > axes.get_ylim()[1])
    if len(clipped):
        _draw_inset(axes, wave, seen, model, int(clipped[np.argmax(seen[clipped])]))
    axes.locator_params(axis="y", nbins=4)


def _draw_curves(
    axes: Axes,
    wave: NDArray[np.float64],
    seen: NDArray[np.float32],
    model: NDArray[np.float32],
) -> None:
    """Draw the observed spectrum and, dimmed, its reconstruction."""
    # A reconstruction that is much rougher than the data is drawn thin and behind them.
    rough = _roughness(model) > 2 * _roughness(seen)
    axes.plot(wave, seen, color=DATA, linewidth=0.6, zorder=2)
    axes.plot(
        wave,
        model,
        color=MODEL,
        linewidth=0.4 if rough else 0.9,
        alpha=0.35 if rough else 0.75,
        zorder=1.9 if rough else 2.1,
    )


def _draw_inset(
    axes: Axes,
    wave: NDArray[np.float64],
    seen: NDArray[np.float32],
    model: NDArray[np.float32],
    peak: int,
) -> None:
    """Draw the surroundings of a peak in full height, beside it, with its value."""
    low, high = axes.get_xlim()
    place = (wave[peak] - low) / (high - low)
    left = place + 0.03 if place < 0.5 else place - 0.03 - _INSET_WIDTH
    inset = axes.inset_axes((left, 0.96 - _INSET_HEIGHT, _INSET_WIDTH, _INSET_HEIGHT), zorder=4)

    before, after = _INSET_BINS
    near = slice(max(peak - before, 0), peak + after + 1)
    _draw_curves(inset, wave[near], seen[near], model[near])
    step = wave[1] - wave[0]
    inset.set_xlim(wave[peak] - before * step, wave[peak] + after * step)
    floor, top = min(float(np.nanmin(seen[near])), 0.0), float(seen[peak])
    inset.set_ylim(floor - 0.05 * (top - floor), top + 0.08 * (top - floor))

    inset.set_xticks([])
    inset.set_yticks([])
    inset.spines[["top", "right"]].set_visible(True)
    inset.text(0.04, 0.95, number(top), transform=inset.transAxes, va="top", fontsize=POINTS)


def draw_residual(axes: Axes, wave: NDArray[np.float64], sample: PlotSample, row: int) -> None:
    """Draw (flux − reconstruction)·√ivar of one spectrum, in σ."""
    flux, ivar, model = sample.spectrum(row)
    good = ivar > 0
    residual = np.where(good, (flux - model) * np.sqrt(ivar), np.nan)
    usual = float(np.nanquantile(np.abs(residual), _SHOWN_RESIDUALS))
    limit = 1.2 * max(usual, _LEAST_RESIDUAL)

    axes.set_xlim(wave[0], wave[-1])
    axes.set_ylim(-limit, limit)
    shade(axes, wave, good, float(sample.z[row]))
    axes.axhline(0, color=BLACK, linewidth=0.5)
    axes.plot(wave, residual, color=DATA, linewidth=0.5)
    _mark_clipped(axes, wave, residual, label_lowest=False)

    # One round tick on either side of zero.
    decade = 10 ** np.floor(np.log10(limit))
    step = max(decade * digit for digit in (0.5, 1, 2, 5) if decade * digit < 0.9 * limit)
    axes.set_yticks([-step, step])
    axes.set_yticks([0], minor=True)


def shade(axes: Axes, wave: NDArray[np.float64], good: NDArray[np.bool_], z: float) -> None:
    """Shade the bins (M,) that are not good, and the camera overlaps for a redshift z."""
    half = (wave[1] - wave[0]) / 2
    overlaps = [(low / (1 + z), (high - low) / (1 + z)) for low, high in OVERLAPS]
    bad = [
        (wave[start] - half, wave[stop - 1] - wave[start] + 2 * half)
        for start, stop in _runs(~good)
    ]
    for spans, colour in ((overlaps, OVERLAP), (bad, BAD)):
        axes.broken_barh(
            spans,
            (0, 1),
            transform=axes.get_xaxis_transform(),
            facecolors=colour,
            linewidth=0,
            zorder=0,
        )


def _roughness(values: NDArray[np.float32]) -> float:
    steps = np.abs(np.diff(values))
    return float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else 0.0


def _runs(where: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and stop of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _mark_clipped(
    axes: Axes, wave: NDArray[np.float64], values: NDArray[np.floating], *, label_lowest: bool
) -> None:
    """Mark each run of values (M,) beyond the panel by an arrow; write the lowest one's value."""
    low, high = axes.get_ylim()
    for sign, edge, marker in ((1, high, "^"), (-1, low, "v")):
        beyond = np.nan_to_num(sign * values, nan=-np.inf) > sign * edge
        peaks = [start + int(np.argmax(sign * values[start:stop])) for start, stop in _runs(beyond)]
        if not peaks:
            continue

        axes.plot(
            wave[peaks],
            [edge] * len(peaks),
            marker,
            color=BLACK,
            markersize=3.5,
            clip_on=False,
            linestyle="none",
            zorder=3,
        )

        if label_lowest and sign < 0:
            far = min(peaks, key=lambda i: values[i])
            right = wave[far] < 0.5 * (wave[0] + wave[-1])
            axes.annotate(
                number(float(values[far])),
                (wave[far], edge),
                xytext=(5 if right else -5, 1),
                textcoords="offset points",
                ha="left" if right else "right",
                va="bottom",
                fontsize=POINTS,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
                zorder=3,
            )
