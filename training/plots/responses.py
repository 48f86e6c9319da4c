"""Responses: what each latent dimension does to a spectrum, computed (Table 1 of the paper).

An index is measured on the decoded spectra 2 σ below and above the median of one dimension. Its
change is divided by what it would be if the index followed this dimension alone: 4 times the
index's own σ among the training spectra as the decoder sees them. So a response is like a
correlation coefficient: ±1 if the dimension alone sets the index, 0 if it does not touch it, and
its square is about the share of the index's variance that the dimension accounts for. It counts
as up or down where that share is at least 4 %, a response beyond ±0.2.
"""

import csv
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scoring.network import OnnxVAE

from .indices import NAMES, Indices
from .latents import latent_names
from .traversal import spread, traverse

THRESHOLD: Final = 0.2
"""Responses beyond this are called up or down."""

EXPLANATION: Final = (
    "How the main features respond to each latent dimension in the increasing direction, all "
    "others at their median. The number is the index's change between −2 σ and +2 σ in units of "
    "4 times the index's own σ among the training spectra: ±1 if this dimension alone sets it. "
    f"↑ above {THRESHOLD}, ↓ below −{THRESHOLD}, – between. Colour is (red − blue) / (red + blue) "
    "of the mean flux at 6800-7400 Å and 4020-4500 Å; the 4000 Å break is D4000; the lines are "
    "equivalent widths, emission positive; broad Hα is the equivalent width of its wings at 1500 "
    "to 6000 km/s. The numbering of latents means nothing and changes from fit to fit."
)

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
        Training latents. Up to 2000 of them, evenly spaced, give the indices' own spread.
    """
    measure = Indices(wave)
    decoded = traverse(vae, latents, (-_STEP, _STEP))
    low, high = measure(decoded[:, 0]), measure(decoded[:, 1])
    chosen = latents[:: max(1, len(latents) // _REFERENCE)]
    inlier = measure(vae.decode(np.ascontiguousarray(chosen)))
    table = np.full((latents.shape[1], len(NAMES)), np.nan)
    for column, name in enumerate(NAMES):
        values = inlier[name][np.isfinite(inlier[name])]
        if len(values):
            scale = 2 * _STEP * max(float(spread(values)), _SMALLEST)
            table[:, column] = (high[name] - low[name]) / scale
    return table


def symbol(response: float) -> str:
    """Return an arrow, a dash, or a question mark for an index that the grid does not hold.

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
    """Return Table 1 as rows of text, its head first: arrow and response in each cell."""
    rows = [["", *HEADINGS]]
    for name, values in zip(latent_names(len(table)), table, strict=True):
        cells = [
            symbol(v) if np.isnan(v) else f"{symbol(v)} {v:+.2f}".replace("-", "−") for v in values
        ]
        rows.append([name, *cells])
    return rows


def write_table(folder: Path, table: NDArray[np.float64]) -> list[Path]:
    """Write table1.md for people and table1.csv for programs."""
    rows = table_rows(table)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    markdown = folder / "table1.md"
    markdown.write_text(f"{EXPLANATION}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    numbers = folder / "table1.csv"
    with numbers.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["latent", *NAMES])
        for i, values in enumerate(table.tolist()):
            writer.writerow([i + 1, *(f"{value:.4f}" for value in values)])
    return [markdown, numbers]
