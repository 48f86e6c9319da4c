"""Responses: how spectral indices change along each latent dimension (Table 1 of the paper).

An index is measured on the spectra decoded 2 σ below and above the median of one dimension. The
response is the change divided by 4 times the σ of the index among the decoded training spectra,
which is the change to expect if the index depended on this dimension alone. A response therefore
reads like a correlation coefficient: ±1 if the dimension alone determines the index, 0 if it has no
effect, and its square is about the share of the variance that the dimension explains. Responses
beyond ±0.2, a share of 4 %, count as up or down.
"""

import csv
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scoring.network import OnnxVAE

from ..templates import render
from .indices import NAMES, Indices
from .latents import latent_names
from .traversal import robust_sigma, traverse

THRESHOLD: Final = 0.2
"""Responses beyond ±THRESHOLD count as up or down."""

EXPLANATION: Final = (
    "Response of the main spectral features to an increase of each latent dimension, the others "
    "at their median. The number is the change of the index between −2 σ and +2 σ in units of "
    "4 times its σ among the training spectra: ±1 if this dimension alone determines it. "
    f"↑ above {THRESHOLD}, ↓ below −{THRESHOLD}, – between. Colour is (red − blue) / (red + blue) "
    "of the mean flux at 6800-7400 Å and 4020-4500 Å; the 4000 Å break is D4000; the lines are "
    "equivalent widths, emission positive; broad Hα is the equivalent width of its wings at 1500 "
    "to 6000 km/s. The numbering of latents is arbitrary and changes from fit to fit."
)

TEMPLATE: Final = Path(__file__).with_name("table1.md.jinja")

_STEP = 2.0
_REFERENCE = 2000
_SMALLEST = 1e-6

HEADINGS: Final = (
    "colour (redder)",
    "4000 Å break",
    "Hα",
    "[N II]",
    "Hβ",
    "[O III]",
    "[O II]",
    "broad Hα",
)


def responses(
    vae: OnnxVAE, latents: NDArray[np.float32], wave: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the responses (L, K) of the K indices to each dimension; NaN off the grid.

    Parameters
    ----------
    latents : (R, L) float32
        Training latents. Up to about 2000 of them, evenly spaced, give the σ of the indices.
    """
    measure = Indices(wave)

    decoded = traverse(vae, latents, (-_STEP, _STEP))
    low, high = measure(decoded[:, 0]), measure(decoded[:, 1])
    chosen = latents[:: max(1, len(latents) // _REFERENCE)]
    reference = measure(vae.decode(np.ascontiguousarray(chosen)))

    table = np.full((latents.shape[1], len(NAMES)), np.nan)
    for column, name in enumerate(NAMES):
        values = reference[name][np.isfinite(reference[name])]
        if len(values):
            scale = 2 * _STEP * max(float(robust_sigma(values)), _SMALLEST)
            table[:, column] = (high[name] - low[name]) / scale
    return table


def symbol(response: float) -> str:
    """Return ↑, ↓, – or, for an index outside the grid (NaN), ?.

    Examples
    --------
    >>> from training.plots.responses import symbol
    >>> [symbol(r) for r in (0.5, -0.5, 0.1, float("nan"))]
    ['↑', '↓', '–', '?']
    """
    if np.isnan(response):
        return "?"
    if abs(response) < THRESHOLD:
        return "–"
    return "↑" if response > 0 else "↓"


def table_rows(table: NDArray[np.float64]) -> list[list[str]]:
    """Return Table 1 as rows of text, the head first; each cell holds symbol and response."""
    rows = [["", *HEADINGS]]
    for name, values in zip(latent_names(len(table)), table, strict=True):
        cells = [
            symbol(v) if np.isnan(v) else f"{symbol(v)} {v:+.2f}".replace("-", "−") for v in values
        ]
        rows.append([name, *cells])
    return rows


def write_table(folder: Path, table: NDArray[np.float64]) -> list[Path]:
    """Write table1.md, with symbols and explanation, and table1.csv, with numbers only."""
    markdown = folder / "table1.md"
    text = render(TEMPLATE, explanation=EXPLANATION, rows=table_rows(table))
    markdown.write_text(text, encoding="utf-8")

    numbers = folder / "table1.csv"
    with numbers.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["latent", *NAMES])
        for i, values in enumerate(table.tolist()):
            writer.writerow([i + 1, *(f"{value:.4f}" for value in values)])

    return [markdown, numbers]
