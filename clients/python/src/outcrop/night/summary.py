"""Summary: the counts of a night, petal by petal, from the score tables themselves.

It is written as three files: ``summary.ecsv``, ``toplist.ecsv`` (CSV with a header of comments:
types, units and the model) and ``targets.txt``.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from .._files import write_atomically
from ..model import Model
from ..scores import eligible
from .selection import Selection
from .tables import read_table
from .top_list import TopList

if TYPE_CHECKING:
    from astropy.table import Table

SUMMARY: Final = "summary.ecsv"
TOPLIST: Final = "toplist.ecsv"
TARGETS: Final = "targets.txt"

SCORED: Final = "scored"
FAILED: Final = "failed"
WAITING: Final = "waiting"
UNPAIRED: Final = "unpaired"

_PRINTED: Final = 10
_FORMATS: Final = {
    "RANK": "d",
    "TARGETID": "d",
    "P_VALUE": ".1e",
    "WMSE": ".2f",
    "NOF": ".2f",
    "SNR": ".1f",
    "Z": ".4f",
    "SPECTYPE": "s",
    "TILEID": "d",
    "FIBER": "d",
    "PETAL": "d",
    "NIGHT": "d",
}


@dataclass(frozen=True)
class Entry:
    """One petal of a night.

    Attributes
    ----------
    coadd : Path
    state : str
        ``scored``, ``failed``, ``waiting`` (found, and not tried yet) or ``unpaired`` (a coadd
        without redrock file, which is no petal).
    rows, eligible, flagged : int
        Rows of its score table: all, the eligible ones, and those of them with ANOMALY. 0 unless
        scored.
    error : str
        Why it failed; else empty.
    """

    coadd: Path
    state: str
    rows: int = 0
    eligible: int = 0
    flagged: int = 0
    error: str = ""


@dataclass
class Summary:
    """A night's petals and its most anomalous spectra.

    Attributes
    ----------
    root : Path
        The tree of coadds.
    model : Model
    now : int
        Number of petals that were scored by this run; the others had their table.
    """

    root: Path
    model: Model
    now: int
    entries: list[Entry] = field(default_factory=list[Entry])
    top: TopList = field(default_factory=TopList)

    def scored(self, coadd: Path, table: Path) -> None:
        """Add a petal that has its score table; InputError where that cannot be read."""
        columns = read_table(table)
        counted = eligible(columns["STATUS"], columns["SNR"])
        self.top.add(coadd, columns, counted)
        self.entries.append(
            Entry(
                coadd,
                SCORED,
                rows=len(counted),
                eligible=int(np.count_nonzero(counted)),
                flagged=int(np.count_nonzero(counted & columns["ANOMALY"])),
            )
        )

    def failed(self, coadd: Path, error: str) -> None:
        """Add a petal that could not be scored."""
        self.entries.append(Entry(coadd, FAILED, error=error))

    def waiting(self, coadd: Path) -> None:
        """Add a petal that has not been tried."""
        self.entries.append(Entry(coadd, WAITING))

    def unpaired(self, coadd: Path) -> None:
        """Add a coadd that cannot be scored because it has no redrock file."""
        self.entries.append(Entry(coadd, UNPAIRED, error="no redrock file beside it; run redrock"))

    def totals(self) -> dict[str, int]:
        """Return the numbers of petals, by state too, and of rows, eligible and flagged ones."""
        states = [entry.state for entry in self.entries]
        return {
            "petals": len(states) - states.count(UNPAIRED),
            **{state: states.count(state) for state in (SCORED, FAILED, WAITING, UNPAIRED)},
            "rows": sum(entry.rows for entry in self.entries),
            "eligible": sum(entry.eligible for entry in self.entries),
            "flagged": sum(entry.flagged for entry in self.entries),
        }

    def write(self, folder: Path) -> str:
        """Write the three files, each completely or not at all; InputError where one cannot be.

        Returns
        -------
        str
            The totals and the head of the top list, to be printed.
        """
        provenance = self._provenance()
        toplist = self.top.table(self.root)
        listed = provenance | {"selection": str(self.top.selection)}
        for name, table, meta in (
            (SUMMARY, self._table(), provenance),
            (TOPLIST, toplist, listed),
        ):
            write_atomically(folder / name, _ecsv(table, meta), overwrite=True)
        write_atomically(folder / TARGETS, self.top.targets().encode(), overwrite=True)

        written = ", ".join(str(folder / name) for name in (SUMMARY, TOPLIST, TARGETS))
        top = _most_anomalous(toplist, self.top.selection)
        return f"{self._text()}\n{top}\nwritten: {written}"

    def _provenance(self) -> dict[str, Any]:
        model = self.model
        return self.totals() | {
            "model": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "sample": model.sample,
            "p_level": model.p_level,
        }

    def _table(self) -> "Table":
        from astropy.table import Table

        entries = self.entries
        return Table(
            {
                "COADD": [entry.coadd.relative_to(self.root).as_posix() for entry in entries],
                "STATE": [entry.state for entry in entries],
                "ROWS": [entry.rows for entry in entries],
                "ELIGIBLE": [entry.eligible for entry in entries],
                "FLAGGED": [entry.flagged for entry in entries],
                "ERROR": [entry.error for entry in entries],
            }
        )

    def _text(self) -> str:
        totals, model = self.totals(), self.model
        expected = model.p_level * totals["eligible"]
        lines = [
            f"{totals['petals']} petals: {totals[SCORED]} scored, {self.now} of them now; "
            f"{totals[FAILED]} failed, {totals[WAITING]} waiting",
            f"{totals['rows']} spectra, {totals['eligible']} eligible, {totals['flagged']} "
            f"anomalies (p < {model.p_level:g}; {expected:.3g} expected by chance)",
            f"model {model.name} {model.version}, sample {model.sample}",
        ]
        if totals[UNPAIRED]:
            lines.insert(1, f"{totals[UNPAIRED]} coadds have no redrock file and are not scored")
        most = max(self.entries, key=lambda entry: entry.flagged, default=None)
        if most is not None and most.flagged:
            coadd = most.coadd.relative_to(self.root)
            lines.insert(-1, f"most in one petal: {most.flagged} of {most.eligible}, {coadd}")
        return "\n".join(lines)


def _ecsv(table: "Table", provenance: dict[str, Any]) -> bytes:
    cast(Any, table.meta).update(provenance)
    text = io.StringIO()
    table.write(text, format="ascii.ecsv", delimiter=",")
    # A file name may have bytes that are not UTF-8: they are written as \\udcff.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _most_anomalous(toplist: "Table", selection: Selection) -> str:
    """Return the head of the list, with the first fiber observation of each spectrum."""
    if not len(toplist):
        return f"no spectrum is in the top list ({selection})"
    first = np.unique(np.asarray(toplist["RANK"]), return_index=True)[1][:_PRINTED]
    shown = cast(Any, toplist)[list(_FORMATS)][first]
    for name, form in _FORMATS.items():
        shown[name].info.format = form
    lines = shown.pformat(max_lines=-1, max_width=-1, show_unit=False)
    title = f"the most anomalous ({selection}), each with its first fiber observation:"
    return "\n".join([title, *lines])
