"""Page: one plain HTML page that shows all pictures, and names the most anomalous spectra."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from outcrop.night.fiber_observations import viewer_link

from .sample import Sample
from .style import number, redshift

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
figcaption, p { color: #444; max-width: 46rem; }
.note { border-left: 4px solid #D55E00; padding-left: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #222; }
a { color: #0072B2; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture file and what is to be seen in it; without a file, why there is none."""

    path: Path | None
    heading: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of text, the first of which is the head."""

    heading: str
    caption: str
    rows: Sequence[Sequence[str]]


def write_page(
    path: Path,
    title: str,
    notes: Sequence[str],
    top: Sample,
    pictures: Sequence[Picture],
    tables: Sequence[Table],
) -> Path:
    """Write the page beside the pictures.

    Parameters
    ----------
    notes : sequence of str
        What a reader must know before the rest, one paragraph each.
    top : Sample
        The most anomalous spectra, in order, for the table of links.
    """
    body = [f"<h1>{escape(title)}</h1>"]
    body += [f'<p class="note">{escape(note)}</p>' for note in notes]
    body += ["<h2>The smallest p_values</h2>", _table(_outlier_rows(top))]
    for heading in dict.fromkeys(picture.heading for picture in pictures):
        body.append(f"<h2>{escape(heading)}</h2>")
        body += [_figure(picture) for picture in pictures if picture.heading == heading]
    for table in tables:
        cells = [[escape(cell) for cell in row] for row in table.rows]
        body += [f"<h2>{escape(table.heading)}</h2>", _table(cells)]
        body.append(f"<p>{escape(table.caption)}</p>")
    content = "\n".join(body)
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{content}\n</body>\n</html>\n",
        encoding="utf-8",
    )
    return path


def _outlier_rows(top: Sample) -> list[list[str]]:
    injected = any(top.kind)
    rows = [["", "TARGETID", "class", "z", "S/N", "p_value", "wmse", "NOF", "RA / °", "Dec / °"]]
    rows[0] += ["injected"] if injected else []
    rows[0] += ["sky"]
    for row in range(len(top)):
        ra, dec = float(top.ra[row]), float(top.dec[row])
        known = bool(np.isfinite(ra) and np.isfinite(dec))
        cells = [
            str(row + 1),
            str(top.targetid[row]),
            escape(str(top.spectype[row])),
            redshift(top.z[row]),
            *(number(getattr(top, name)[row]) for name in ("snr", "p_value", "wmse", "nof")),
            *((f"{ra:.5f}", f"{dec:.5f}") if known else ("", "")),
        ]
        cells += [escape(str(top.kind[row]))] if injected else []
        link = escape(viewer_link(ra, dec))
        cells += [f'<a href="{link}">Legacy Survey viewer</a>' if known else "no position"]
        rows.append(cells)
    return rows


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already."""
    lines = []
    for tag, row in [("th", rows[0]), *(("td", row) for row in rows[1:])]:
        lines.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>")
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _figure(picture: Picture) -> str:
    caption = escape(picture.caption)
    if picture.path is None:
        return f"<p>{caption}</p>"
    name = escape(picture.path.name)
    return (
        f'<figure><a href="{name}"><img src="{name}" alt="{caption}" loading="lazy"></a>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
