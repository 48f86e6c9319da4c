"""Report: a night as one HTML file that opens without a server.

It shows what the night's other files hold: counts, causes, petals, the instrument and the most
anomalous spectra, of which the first have portraits. The pictures are in the file; nothing is
fetched from elsewhere, and there are no scripts.

Needs jinja2 and matplotlib, which are imported only where a report is made.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import base64
import io
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from tqdm import tqdm

from .._files import write_atomically
from ..client import Client
from ..desi import read_spectra
from ..errors import InputError, OutcropError
from ..noise import correct_noise
from ..petals import Petal
from ..spectra import Spectra
from .summary import FAILED, INSTRUMENT, PICTURE, SCORED, SUMMARY, TOPLIST, UNPAIRED, WAITING

if TYPE_CHECKING:
    from astropy.table import Table

logger = logging.getLogger(__name__)

REPORT: Final = "report.html"
PORTRAITS: Final = 12
"""Spectra at the head of the top list that have a portrait."""

_TEMPLATE: Final = "report.html.jinja"
_DPI: Final = 110
_LISTED: Final = {
    "RANK": "d",
    "TARGETID": "d",
    "P_VALUE": ".1e",
    "Q_VALUE": ".1e",
    "SNR": ".1f",
    "Z": ".4f",
    "SPECTYPE": "s",
    "CAUSE": "s",
    "CAUSE_PROB": ".2f",
    "TILEID": "d",
    "FIBER": "d",
    "PETAL": "d",
    "NIGHT": "d",
    "SENTENCE": "s",
}
_PETALS: Final = {
    "COADD": "s",
    "STATE": "s",
    "ROWS": "d",
    "ELIGIBLE": "d",
    "FLAGGED": "d",
    "DISCOVERIES": "d",
    "CAUSES": "s",
    "SET_APART": "s",
    "ERROR": "s",
}


@dataclass(frozen=True)
class ReportTable:
    """The text of a table: its head, and for each row the cells and an address or nothing."""

    head: Sequence[str]
    rows: Sequence[tuple[Sequence[str], str]]

    @staticmethod
    def of(table: "Table", formats: Mapping[str, str], links: str = "") -> "ReportTable":
        """Return columns of a table as text; nothing for NaN and for −1, which is unknown."""
        names = [name for name in formats if name in table.colnames]
        columns = {name: _values(table, name) for name in names}
        addresses: list[str] = _values(table, links) if links else [""] * len(table)
        return ReportTable(
            names,
            [
                ([_cell(columns[name][row], formats[name]) for name in names], address)
                for row, address in enumerate(addresses)
            ],
        )


@dataclass(frozen=True)
class ReportPicture:
    """A picture in the file, and the text below it."""

    png: bytes
    caption: str

    @property
    def source(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def check_report() -> None:
    """Check that a report can be made; InputError where a package is missing."""
    try:
        import jinja2  # noqa: F401 # pyright: ignore[reportUnusedImport]

        from .. import plot  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise InputError(
            f"a report needs jinja2 and matplotlib ({error}); pip install jinja2 matplotlib"
        ) from error


def write_report(
    folder: Path, petals: Iterable[Petal], client: Client, noise_correction: bool = True
) -> Path:
    """Write the report of a night whose tables and summary are there.

    Where the service does not answer, or a coadd cannot be read any more, portraits are missing,
    and the report says why.

    Parameters
    ----------
    folder : Path
        As `Night` wrote it.
    petals : iterable of Petal
        Those of the night.
    client : Client
        Of a service with the model of the tables; it reconstructs the spectra of the portraits.
    noise_correction : bool
        Whether the petals were corrected by `correct_noise`.

    Returns
    -------
    Path
        Of the HTML file.

    Raises
    ------
    InputError
        Where a package is missing, a file of the night cannot be read, or the report cannot be
        written.
    """
    check_report()
    import jinja2

    summary, toplist = _read(folder / SUMMARY), _read(folder / TOPLIST)
    meta = cast(dict[str, Any], summary.meta)
    by_coadd = {petal.coadd.absolute(): petal for petal in petals}
    portraits, notes = _portraits(toplist, Path(meta["root"]), by_coadd, client, noise_correction)

    picture = folder / PICTURE
    instrument = (
        ReportPicture(picture.read_bytes(), "Segments that the model does not explain, by place.")
        if picture.exists()
        else None
    )

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(_TEMPLATE).render(
        night=Path(meta["root"]).name,
        meta=meta,
        selection=cast(dict[str, Any], toplist.meta)["selection"],
        states={state: meta[state] for state in (SCORED, FAILED, WAITING, UNPAIRED)},
        causes=_shares(meta["causes"]),
        portraits=portraits,
        notes=notes,
        toplist=ReportTable.of(toplist, _LISTED, links="VIEWER"),
        instrument=instrument,
        places=_outstanding(folder / INSTRUMENT),
        petals=ReportTable.of(summary, _PETALS),
    )
    path = folder / REPORT
    write_atomically(path, text.encode("utf-8", "backslashreplace"), overwrite=True)
    return path


def _read(path: Path) -> "Table":
    from astropy.table import Table

    try:
        return cast("Table", Table.read(path, format="ascii.ecsv"))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}; run the night again") from error


def _portraits(
    toplist: "Table",
    root: Path,
    petals: Mapping[Path, Petal],
    client: Client,
    noise_correction: bool,
) -> tuple[list[ReportPicture], list[str]]:
    """Return the portraits of the head of the list, and why some are missing."""
    columns = {
        name: np.asarray(toplist[name]).tolist()
        for name in ("RANK", "TARGETID", "COADD", "Q_VALUE")
    }
    # A target may be listed with several fiber observations.
    first = {
        rank: (targetid, coadd, q_value)
        for rank, targetid, coadd, q_value in reversed(list(zip(*columns.values(), strict=True)))
    }
    chosen = sorted(first.items())[:PORTRAITS]

    found: list[ReportPicture] = []
    notes: dict[str, None] = {}
    for rank, (targetid, name, q_value) in tqdm(
        chosen, desc="portraits", unit=" spectra", delay=2, disable=None
    ):
        try:
            spectrum = _spectrum(petals[root / name], targetid, noise_correction)
            q_text = "set apart" if math.isnan(q_value) else f"q {q_value:.1e}"
            found.append(_portrait(spectrum, client, f"{rank}. {Path(name).name}, {q_text}"))
        except OutcropError as error:
            logger.warning("no portrait of %s in the report: %s", targetid, error)
            notes[str(error)] = None
    return found, list(notes)


def _spectrum(petal: Petal, targetid: int, noise_correction: bool) -> Spectra:
    """Return a spectrum as it was scored."""
    spectra = read_spectra(petal.coadd, petal.redrock, allow_mismatch=True)
    if noise_correction:
        spectra = correct_noise(spectra)
    rows = np.flatnonzero(spectra.targetid == targetid)
    if not len(rows):
        raise InputError(f"{petal.coadd} has no TARGETID {targetid} any more; run the night again")
    return spectra[rows[:1]]


def _portrait(spectrum: Spectra, client: Client, caption: str) -> ReportPicture:
    scores = client.score(spectrum, reconstruction=True)
    explanation = client.explain(spectrum)[0]
    content = io.BytesIO()
    cast(Any, scores.plot(0, explanation)).savefig(content, format="png", dpi=_DPI)
    return ReportPicture(content.getvalue(), caption)


def _outstanding(path: Path) -> ReportTable | None:
    """Return the places of the instrument that stand out; None where there is no such table."""
    if not path.exists():
        return None
    table = _read(path)
    names = cast(list[str], table.colnames)
    formats = {name: ".4g" if np.asarray(table[name]).dtype.kind == "f" else "" for name in names}
    return ReportTable.of(table, formats)


def _shares(causes: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Return each cause with the number of its spectra and its share of the most frequent one."""
    most = max(causes.values(), default=1)
    # ECSV sorts the names.
    ordered = sorted(causes.items(), key=lambda each: -each[1])
    return [(cause, count, count / most) for cause, count in ordered]


def _values(table: "Table", name: str) -> list[Any]:
    """Return a column as a list; an empty string is read as a masked one."""
    column = cast(Any, table)[name]
    values = np.ma.filled(column, "") if np.ma.isMaskedArray(column) else np.asarray(column)
    return values.tolist()


def _cell(value: object, form: str) -> str:
    if isinstance(value, float) and math.isnan(value):
        return ""
    if value == -1 and form == "d":
        return ""
    return format(value, form) if not isinstance(value, bool) else ("yes" if value else "no")
