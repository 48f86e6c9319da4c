"""Page: an HTML page that shows all pictures and lists the most anomalous spectra."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from outcrop.night.fiber_observations import viewer_link

from ..templates import render
from .sample import PlotSample
from .style import number, redshift

TEMPLATE: Final = Path(__file__).with_name("page.html.jinja")


@dataclass(frozen=True)
class Picture:
    """A picture file with its heading and caption; without a file the caption says why."""

    path: Path | None
    heading: str
    caption: str


@dataclass(frozen=True)
class PageTable:
    """A table of text; the first row is its head."""

    heading: str
    caption: str
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class OutlierRow:
    """One row of the list of outliers; link is empty where the position is unknown."""

    cells: Sequence[str]
    link: str


def write_page(
    path: Path,
    title: str,
    notes: Sequence[str],
    top: PlotSample,
    pictures: Sequence[Picture],
    tables: Sequence[PageTable],
) -> Path:
    """Write the page beside the pictures.

    Parameters
    ----------
    notes : sequence of str
        Paragraphs at the top of the page.
    top : PlotSample
        The most anomalous spectra, in order, for the list of outliers.
    """
    injected = any(top.kind)
    columns = ["", "TARGETID", "class", "z", "S/N", "p_value", "wmse", "NOF", "RA / °", "Dec / °"]
    sections: dict[str, list[Picture]] = {}
    for picture in pictures:
        sections.setdefault(picture.heading, []).append(picture)

    text = render(
        TEMPLATE,
        title=title,
        notes=notes,
        columns=[*columns, "injected"] if injected else columns,
        outliers=[_outlier(top, row, injected) for row in range(len(top))],
        sections=sections,
        tables=tables,
    )
    path.write_text(text, encoding="utf-8")
    return path


def _outlier(top: PlotSample, row: int, injected: bool) -> OutlierRow:
    ra, dec = float(top.ra[row]), float(top.dec[row])
    known = bool(np.isfinite(ra) and np.isfinite(dec))
    cells = [
        str(row + 1),
        str(top.targetid[row]),
        str(top.spectype[row]),
        redshift(top.z[row]),
        *(number(getattr(top, name)[row]) for name in ("snr", "p_value", "wmse", "nof")),
        *((f"{ra:.5f}", f"{dec:.5f}") if known else ("", "")),
    ]
    if injected:
        cells.append(str(top.kind[row]))
    return OutlierRow(cells, viewer_link(ra, dec) if known else "")
