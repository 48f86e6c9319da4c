"""Notebook: the first rows of spectra or scores as an HTML table, as Jupyter shows them."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from collections.abc import Mapping
from html import escape
from typing import Any, Final, cast

from numpy.typing import NDArray

ROWS: Final = 10


def html_table(title: str, columns: Mapping[str, NDArray[Any]]) -> str:
    """Return a title above the first `ROWS` rows of some columns (N,), all of it escaped."""
    # astropy takes half a second to import, so it is imported only where a table is shown.
    from astropy.table import Table

    first = Table({name: column[:ROWS] for name, column in columns.items()})
    for name, column in columns.items():
        if column.dtype.kind == "f":
            cast(Any, first)[name].info.format = ".6g"
    lines = first.pformat(max_lines=-1, max_width=-1, html=True, show_unit=False)
    return "\n".join([f"<p>{escape(title)}</p>", *lines])
