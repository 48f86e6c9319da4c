"""Summary: the counts of a night, petal by petal, from the score tables themselves.

It is written as ``summary.ecsv``, ``toplist.ecsv`` (CSV with a header of comments: types, units and
the model) and ``targets.txt``; where spectra are explained, also as ``instrument.ecsv`` and, with
matplotlib, ``instrument.png``.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import io
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .._constants import Q_LEVEL
from .._files import write_atomically
from ..inputs import NoiseCards
from ..model import Model
from ..noise import LEAST_FIBERS
from ..scores import count_outside, eligible
from .causes import count_causes, describe_causes, dominant
from .discoveries import NONE, RANK, TAIL, UNKNOWN, Discoveries
from .faults import PetalPValues
from .instrument import InstrumentReport, NightSegments
from .selection import FLAGGED, Selection
from .tables import read_noise, read_table
from .top_list import TopList

if TYPE_CHECKING:
    from astropy.table import Table

logger = logging.getLogger(__name__)

SUMMARY: Final = "summary.ecsv"
TOPLIST: Final = "toplist.ecsv"
TARGETS: Final = "targets.txt"
INSTRUMENT: Final = "instrument.ecsv"
PICTURE: Final = "instrument.png"

SCORED: Final = "scored"
FAILED: Final = "failed"
WAITING: Final = "waiting"
UNPAIRED: Final = "unpaired"

_BASES: Final = {
    RANK: "ranks in the calibration sample",
    TAIL: "the extrapolated tail of the calibration sample",
    UNKNOWN: "ranks or an extrapolated tail, which this model does not tell",
}
_VARIANCES: Final = {"b": "NOISE_B", "r": "NOISE_R", "z": "NOISE_Z"}
_NOISE: Final[dict[str, float | int | bool]] = {
    **dict.fromkeys(_VARIANCES.values(), math.nan),
    "NSKY": 0,
    "SKYCORR": False,
}
_PRINTED: Final = 10
_FORMATS: Final = {
    "RANK": "d",
    "TARGETID": "d",
    "P_VALUE": ".1e",
    "Q_VALUE": ".1e",
    "WMSE": ".2f",
    "NOF": ".2f",
    "SNR": ".1f",
    "Z": ".4f",
    "SPECTYPE": "s",
    "CAUSE": "s",
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
    outside, unknown : int
        Targets outside the model's population, and eligible rows whose target bits are unknown.
    discoveries : int
        Eligible rows that are discoveries among all of the night; 0 until that is known.
    set_apart : str
        The faults for which rows are no discoveries; empty where there are none.
    faults : tuple of str
        Their kinds.
    error : str
        Why it failed; else empty.
    noise : NoiseCards
        Of its score table.
    causes : mapping of str to int
        How many of its spectra have each cause; empty where none was explained.
    """

    coadd: Path
    state: str
    rows: int = 0
    eligible: int = 0
    flagged: int = 0
    outside: int = 0
    unknown: int = 0
    discoveries: int = 0
    set_apart: str = ""
    faults: tuple[str, ...] = ()
    error: str = ""
    noise: NoiseCards = field(default_factory=dict[str, float | int | bool])
    causes: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def instrumental(self) -> str:
        """The instrumental cause that dominates, and in how many spectra; else empty."""
        cause = dominant(self.causes)
        return f"{cause} in {self.causes[cause]} of {sum(self.causes.values())}" if cause else ""


@dataclass(frozen=True, eq=False)
class ScoredPetal:
    """What a summary keeps of a score table: 8 MB for a night of 175,000 spectra.

    Attributes
    ----------
    coadd : Path
    targetid : (n,) int64
        Of the eligible spectra.
    p_values : PetalPValues
        Of the same spectra.
    chosen : (k,) int
        Those that meet the conditions of the top list.
    columns : dict of (k,) arrays
        Their rows of the score table.
    """

    coadd: Path
    targetid: NDArray[np.int64]
    p_values: PetalPValues
    chosen: NDArray[np.intp]
    columns: dict[str, NDArray[Any]]


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
    selection : Selection
        Of the spectra in the top list.
    entries : list of Entry
    petals : list of ScoredPetal
        Of the entries that are scored, in the same order.
    segments : list of NightSegments
        Of those whose spectra are explained.
    address : str
        Of the tree, where it is not a folder; `root` then only stands for it.
    """

    root: Path
    model: Model
    now: int
    selection: Selection = FLAGGED
    entries: list[Entry] = field(default_factory=list[Entry])
    petals: list[ScoredPetal] = field(default_factory=list[ScoredPetal])
    segments: list[NightSegments] = field(default_factory=list[NightSegments])
    address: str = ""

    def scored(self, coadd: Path, table: Path) -> None:
        """Add a petal that has its score table; InputError where that cannot be read."""
        columns, noise, segments = read_table(table), read_noise(table), NightSegments.read(table)
        status, snr = columns["STATUS"], columns["SNR"]
        counted = eligible(status, snr)
        outside, unknown = count_outside(status, snr, columns["DESI_TARGET"])
        chosen = self.selection.chosen(columns, counted)
        p_values = PetalPValues(
            columns["P_VALUE"][counted],
            columns["ANOMALY"][counted],
            columns["FIBER"][counted].astype(np.int32),
            {camera: noise[card] for camera, card in _VARIANCES.items() if card in noise},
        )

        if segments is not None:
            self.segments.append(segments)
        self.petals.append(
            ScoredPetal(
                coadd,
                columns["TARGETID"][counted],
                p_values,
                np.flatnonzero(chosen[counted]),
                {name: column[chosen] for name, column in columns.items()},
            )
        )
        self.entries.append(
            Entry(
                coadd,
                SCORED,
                rows=len(counted),
                eligible=len(p_values.flagged),
                flagged=int(np.count_nonzero(p_values.flagged)),
                outside=outside,
                unknown=unknown,
                noise=noise,
                causes=count_causes(columns["CAUSE"].tolist()),
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
            "outside": sum(entry.outside for entry in self.entries),
            "unknown": sum(entry.unknown for entry in self.entries),
            "discoveries": sum(entry.discoveries for entry in self.entries),
        }

    def causes(self) -> dict[str, int]:
        """Return how many spectra of the night have each cause, the most frequent first."""
        return count_causes(
            cause
            for entry in self.entries
            for cause, count in entry.causes.items()
            for _ in range(count)
        )

    def write(self, folder: Path) -> str:
        """Write the files, each completely or not at all; InputError where one cannot be.

        Returns
        -------
        str
            The totals and the head of the top list, to be printed.
        """
        found = Discoveries.find(
            [petal.p_values for petal in self.petals], self.model.p_level, self.model.finest_p
        )
        self._complete(found)
        top = self._top(found)

        provenance = self._provenance(found)
        toplist = top.table(self.root)
        listed = provenance | {"selection": str(self.selection)}
        for name, table, meta in (
            (SUMMARY, self._table(), provenance),
            (TOPLIST, toplist, listed),
        ):
            write_atomically(folder / name, _ecsv(table, meta), overwrite=True)
        write_atomically(folder / TARGETS, top.targets().encode(), overwrite=True)

        names = [SUMMARY, TOPLIST, TARGETS]
        text = self._text(found)
        for name in (INSTRUMENT, PICTURE):
            (folder / name).unlink(missing_ok=True)
        if self.segments:
            report = InstrumentReport.of(NightSegments.concatenate(self.segments))
            write_atomically(folder / INSTRUMENT, _ecsv(report.table(), provenance), True)
            names.append(INSTRUMENT)
            if png := _picture(report):
                write_atomically(folder / PICTURE, png, True)
                names.append(PICTURE)
            text += f"\n{report.text}"

        written = ", ".join(str(folder / name) for name in names)
        head = _most_anomalous(toplist, self.selection)
        return f"{text}\n{head}\nwritten: {written}"

    def _complete(self, found: Discoveries) -> None:
        """Add to the entries what only the whole night tells."""
        each = iter(zip(found.counts, found.faults, strict=True))
        for number, entry in enumerate(self.entries):
            if entry.state == SCORED:
                count, faults = next(each)
                self.entries[number] = replace(
                    entry,
                    discoveries=count,
                    set_apart="; ".join(fault.reason for fault in faults),
                    faults=tuple(fault.kind for fault in faults),
                )

    def _top(self, found: Discoveries) -> TopList:
        top = TopList(self.selection)
        for petal, q_value in zip(self.petals, found.q_value, strict=True):
            columns = petal.columns | {"Q_VALUE": q_value[petal.chosen]}
            top.add(petal.coadd, columns, petal.targetid)
        return top

    def _provenance(self, found: Discoveries) -> dict[str, Any]:
        model = self.model
        return self.totals() | {
            "root": self.address or str(self.root.absolute()),
            "tested": found.tested,
            "set_apart": found.set_apart,
            "q_level": Q_LEVEL,
            "FDR_BASIS": found.basis,
            "causes": self.causes(),
            "model": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "sample": model.sample,
            "population": model.population,
            "p_level": model.p_level,
            "finest_p": model.finest_p,
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
                "OUTSIDE": [entry.outside for entry in entries],
                "UNKNOWN": [entry.unknown for entry in entries],
                "DISCOVERIES": [entry.discoveries for entry in entries],
                "SET_APART": [entry.set_apart for entry in entries],
                "EXPLAINED": [sum(entry.causes.values()) for entry in entries],
                "CAUSES": [describe_causes(entry.causes) for entry in entries],
                "INSTRUMENTAL": [entry.instrumental for entry in entries],
                **{
                    name: [entry.noise.get(name, unknown) for entry in entries]
                    for name, unknown in _NOISE.items()
                },
                "ERROR": [entry.error for entry in entries],
            }
        )

    def _text(self, found: Discoveries) -> str:
        totals, model = self.totals(), self.model
        expected = model.p_level * totals["eligible"]
        lines = [
            f"{totals['petals']} petals: {totals[SCORED]} scored, {self.now} of them now; "
            f"{totals[FAILED]} failed, {totals[WAITING]} waiting",
            f"{totals['rows']} spectra, {totals['eligible']} eligible, {totals['flagged']} "
            f"anomalies (p < {model.p_level:g}; {expected:.3g} expected by chance)",
            _discovered(totals["discoveries"], found.basis),
            model.describe(totals["outside"], totals["unknown"]),
        ]

        if noise := _corrections([e.noise for e in self.entries if "SKYCORR" in e.noise]):
            lines.insert(-1, noise)
        if totals[UNPAIRED]:
            lines.insert(1, f"{totals[UNPAIRED]} coadds have no redrock file and are not scored")

        most = max(self.entries, key=lambda entry: entry.flagged, default=None)
        if most is not None and most.flagged:
            coadd = most.coadd.relative_to(self.root)
            lines.insert(-1, f"most in one petal: {most.flagged} of {most.eligible}, {coadd}")
        if found.set_apart:
            count = sum(bool(faults) for faults in found.faults)
            lines.insert(
                -1,
                f"set apart: {found.set_apart} spectra of {count} petals (SET_APART in {SUMMARY}); "
                "they are no discoveries",
            )

        return "\n".join([*lines, *self._cause_lines()])

    def _cause_lines(self) -> Iterator[str]:
        """Yield the causes, and the petals where an instrumental one dominates."""
        causes = self.causes()
        if not causes:
            return
        number = sum(causes.values())
        yield f"causes of {number} of {self.totals()['flagged']} anomalies:"
        for cause, count in causes.items():
            yield f"  {cause:<20}{count:>6}{count / number:>7.0%}"

        petals = [entry for entry in self.entries if entry.instrumental]
        for entry in petals[:_PRINTED]:
            yield f"mostly instrumental: {entry.instrumental}, {entry.coadd.relative_to(self.root)}"
        if len(petals) > _PRINTED:
            yield f"and {len(petals) - _PRINTED} more petals (INSTRUMENTAL in {SUMMARY})"


def _picture(report: InstrumentReport) -> bytes:
    """Return the picture of a report; nothing where matplotlib is not installed."""
    try:
        from .instrument_picture import InstrumentPicture
    except ImportError as error:
        logger.warning("no %s: it needs matplotlib (%s); pip install matplotlib", PICTURE, error)
        return b""
    return InstrumentPicture(report).png()


def _discovered(number: int, basis: str) -> str:
    """Return the line on discoveries."""
    text = f"{number} discoveries (q <= {Q_LEVEL:g}"
    return f"{text})" if basis == NONE else f"{text}), which rest on {_BASES[basis]}"


def _corrections(noises: list[NoiseCards]) -> str:
    """Return in how many petals the noise was corrected, and why not in others."""
    if not noises:
        return ""
    corrected = sum(bool(noise["SKYCORR"]) for noise in noises)
    few = sum(noise["NSKY"] < LEAST_FIBERS for noise in noises)
    text = f"noise corrected in {corrected} of {len(noises)} petals"
    if few:
        text += f"; {few} have fewer than {LEAST_FIBERS} sky fibers"
    if implausible := len(noises) - corrected - few:
        text += f"; {implausible} have an implausible variance or offset"
    return text


def _ecsv(table: "Table", provenance: dict[str, Any]) -> bytes:
    cast(Any, table.meta).update(provenance)
    text = io.StringIO()
    table.write(text, format="ascii.ecsv", delimiter=",")
    # A file name may have bytes that are not UTF-8: they are written as \\udcff.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _most_anomalous(toplist: "Table", selection: Selection) -> str:
    """Return the head of the list, each spectrum with its first fiber observation and sentence."""
    if not len(toplist):
        return f"no spectrum is in the top list ({selection})"
    first = np.unique(np.asarray(toplist["RANK"]), return_index=True)[1][:_PRINTED]
    shown = cast(Any, toplist)[list(_FORMATS)][first]
    for name, form in _FORMATS.items():
        shown[name].info.format = form
    lines: list[str] = shown.pformat(max_lines=-1, max_width=-1, show_unit=False)
    sentences: list[str] = np.asarray(toplist["SENTENCE"])[first].tolist()

    # Two lines of the table are its head.
    for place in reversed(range(len(sentences))):
        if sentences[place]:
            lines.insert(place + 3, f"    {sentences[place]}")
    title = f"the most anomalous ({selection}), each with its first fiber observation:"
    return "\n".join([title, *lines])
