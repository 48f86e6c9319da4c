"""README of a catalogue: what it is, counts, rules, columns, versions, and how to cite it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outcrop import Status
from outcrop._constants import Q_LEVEL
from outcrop._fits import FitsFile
from outcrop.columns import Column
from outcrop.errors import InputError

from ..flagged_rows import FlaggedRows
from .columns import of_fits
from .provenance import Provenance
from .release_discoveries import ReleaseDiscoveries, SetApart
from .scan import ScannedRelease
from .tally import Tally

_CITED: Final = """\
If you use this catalogue, cite the paper whose method it implements, Nicolaou et al. 2025,
*Identifying Anomalous DESI Galaxy Spectra with a Variational Autoencoder*, arXiv:2506.17376;
Outcrop with its version, {outcrop}, by its CITATION.cff; this catalogue with its version,
{version}; and DESI's release with the acknowledgments that its licence asks for."""
_PRIMARY: Final = {
    "ZCAT_PRIMARY": "PRIMARY is ZCAT_PRIMARY of {zcatalog}; rows that are not in it are not "
    "primary.",
    "eligible, then highest SNR": "There was no zcatalog. PRIMARY is, of the rows of a TARGETID, "
    "the eligible one of the highest SNR; where none is eligible, the one of the highest SNR.",
}
# Where there is no discovery, there is none.
_BASES: Final = {
    "rank": "ranks in the calibration sample",
    "tail": "the extrapolated tail of the calibration sample",
    "unknown": "ranks or an extrapolated tail, which this model does not tell",
}


@dataclass(frozen=True, eq=False)
class CatalogueVersion:
    """A line of the history.

    Attributes
    ----------
    version, date, model, note : str
    """

    version: str
    date: str
    model: str
    note: str


@dataclass(frozen=True, eq=False)
class Readme:
    """The README of a catalogue, which is also its summary.

    Attributes
    ----------
    provenance : Provenance
    columns : tuple of Column
    files : mapping
        The FITS catalogue of each survey and program.
    tallies : mapping
        The counts of each.
    discoveries : ReleaseDiscoveries
    sizes : mapping of str to int
        Bytes of each FITS catalogue.
    unmatched : int
        Eligible rows that are not in the zcatalog.
    scanned : ScannedRelease
    tables : Path
        Folder of the score tables.
    earlier : sequence of CatalogueVersion
    """

    provenance: Provenance
    columns: tuple[Column, ...]
    files: Mapping[tuple[str, str], str]
    tallies: Mapping[tuple[str, str], Tally]
    discoveries: ReleaseDiscoveries
    sizes: Mapping[str, int]
    unmatched: int
    scanned: ScannedRelease
    tables: Path
    earlier: Sequence[CatalogueVersion]

    @property
    def total(self) -> Tally:
        """The counts of all."""
        return sum(self.tallies.values(), Tally())

    def summary(self) -> str:
        """Return the counts in a few lines."""
        total, level = self.total, float(self.provenance.cards["PLEVEL"])
        basis = _BASES.get(self.discoveries.basis)
        rest = f"; they rest on {basis}" if basis else ""
        lines = [
            f"{total.rows:,} rows of {total.tables:,} tables, {total.primary:,} targets",
            FlaggedRows(total.flagged, total.eligible, level).text(),
            f"discoveries at a false discovery rate of {Q_LEVEL:g}: {total.discoveries:,} of "
            f"{self.discoveries.tested:,} targets tested{rest}",
        ]
        left_out = (
            (sum(each.rows for each in self.discoveries.set_apart), "rows not tested"),
            (len(self.scanned.damaged), "damaged tables"),
            (len(self.scanned.missing), "planned coadds without a table"),
            (self.unmatched, "eligible rows not in the zcatalog"),
        )
        named = [f"{number:,} {what}" for number, what in left_out if number]
        lines += [f"left out: {', '.join(named)}; README.md lists them"] if named else []
        return "\n".join(lines)

    def text(self) -> str:
        """Return the README, as Markdown."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        cards = self.provenance.cards
        yield f"# Outcrop catalogue of {cards['SPECPROD']}, version {cards['VERSION']}"
        yield ""
        yield (
            "How anomalous every spectrum of this production is: "
            f"model {self.provenance.model.name} {self.provenance.model.version}, "
            f"Outcrop {self.provenance.outcrop}, {cards['DATE']} UTC."
        )
        yield ""
        yield from (f"- {line}" for line in self.summary().splitlines())

        for title, lines in (
            ("Files", self._files()),
            ("Provenance", self._provenance()),
            ("Status", self._status()),
            ("Causes", self._causes()),
            ("Which rows count", self._rules()),
            ("Left out", self._left_out()),
            ("Columns", self._columns()),
            ("Reading it", _reading(self.files)),
            ("Versions", self._versions()),
            (
                "How to cite",
                [_CITED.format(outcrop=self.provenance.outcrop, version=cards["VERSION"])],
            ),
        ):
            written = list(lines)
            if written:
                yield from ("", f"## {title}", "", *written)

    def _files(self) -> Iterator[str]:
        yield "| file | tables | rows | primary | eligible | flagged | discoveries | MB |"
        yield "|---|" + "---:|" * 7
        for partition, path in self.files.items():
            tally, size = self.tallies[partition], self.sizes[path] / 1e6
            yield (
                f"| {path} | {tally.tables:,} | {tally.rows:,} | {tally.primary:,} "
                f"| {tally.eligible:,} | {tally.flagged:,} | {tally.discoveries:,} | {size:,.1f} |"
            )
        yield ""
        yield (
            "`parquet/` holds the same rows, sorted by `_healpix_29` as the FITS files are. "
            "`sha256sum -c SHA256SUMS` checks all files."
        )

    def _provenance(self) -> Iterator[str]:
        yield "| card | value | |"
        yield "|---|---|---|"
        for key, value, comment in self.provenance.header_cards():
            yield f"| {key} | {_cell(value)} | {comment} |"

    def _status(self) -> Iterator[str]:
        names = ["-".join(partition) for partition in self.files]
        yield f"| bit | STATUS | {' | '.join(names)} |"
        yield "|---:|---|" + "---:|" * len(names)
        for bit in Status:
            counts = [self.tallies[partition].status[str(bit)] for partition in self.files]
            if any(counts):
                numbers = " | ".join(f"{count:,}" for count in counts)
                yield f"| {bit.value.bit_length() - 1} | {bit} | {numbers} |"

    def _causes(self) -> Iterator[str]:
        causes = self.total.causes
        if not causes:
            return
        names = ["-".join(partition) for partition in self.files]
        yield f"| CAUSE | {' | '.join(names)} |"
        yield "|---|" + "---:|" * len(names)
        for cause, _ in causes.most_common():
            counts = [self.tallies[partition].causes[cause] for partition in self.files]
            yield f"| {cause} | {' | '.join(f'{count:,}' for count in counts)} |"
        yield ""
        yield "SENTENCE, which says what was found, is in the Parquet files only."

    def _rules(self) -> Iterator[str]:
        cards, total = self.provenance.cards, self.total
        rule = _PRIMARY[cards["PRIMRULE"]].format(zcatalog=cards.get("ZCATALOG"))
        yield f"- Repeats of a target are rows of their own. {rule}"
        if self.unmatched:
            yield f"- {self.unmatched:,} eligible rows are not in the zcatalog."
        yield (
            "- Q_VALUE is P_VALUE adjusted by the procedure of Benjamini & Hochberg (1995) over "
            f"all {self.discoveries.tested:,} eligible primary rows of this catalogue together: a "
            f"target counts once. Those up to {Q_LEVEL:g} are the discoveries: "
            f"{total.discoveries:,}, of which that share at most is expected to be inliers. Other "
            "rows have NaN."
        )
        if self.discoveries.basis in _BASES:
            yield f"- They rest on {_BASES[self.discoveries.basis]} (FDRBASIS)."
        yield f"- ANOMALY is P_VALUE below {cards['PLEVEL']:g}, for each row by itself."
        if total.unplaced:
            yield f"- {total.unplaced:,} rows have no position: `_healpix_29` is -1."

    def _left_out(self) -> Iterator[str]:
        by_reason: defaultdict[str, list[SetApart]] = defaultdict(list)
        for each in self.discoveries.set_apart:
            by_reason[each.reason].append(each)
        for reason, several in by_reason.items():
            rows, first = sum(each.rows for each in several), several[0].table.path
            path = first.relative_to(self.tables).as_posix()
            where = path if len(several) == 1 else f"{len(several):,} tables, as {path}"
            yield f"- not tested: {rows:,} rows of {where}; {_cell(reason)}"
        for reason in self.scanned.damaged:
            yield f"- damaged table: {_cell(reason.replace(f'{self.tables}/', ''))}"
        for coadd in self.scanned.missing:
            yield f"- planned, but not scored: {_cell(coadd)}"

    def _columns(self) -> Iterator[str]:
        yield "| column | unit | |"
        yield "|---|---|---|"
        kept = of_fits(self.columns)
        for column in self.columns:
            where = "" if column in kept else " (Parquet only)"
            yield f"| {column.name} | {column.unit or ''} | {column.description}{where} |"

    def _versions(self) -> Iterator[str]:
        cards = self.provenance.cards
        yield "| version | date | model | |"
        yield "|---|---|---|---|"
        model = f"{self.provenance.model}"
        now = CatalogueVersion(cards["VERSION"], cards["DATE"], model, cards.get("NOTE", ""))
        for each in (now, *self.earlier):
            yield f"| {each.version} | {each.date} | {each.model} | {_cell(each.note)} |"


def earlier_versions(output: Path, version: str) -> list[CatalogueVersion]:
    """Return the versions beside one in its folder, the latest first, as their catalogues say."""
    found: list[CatalogueVersion] = []
    for path in output.glob("v*.*"):
        catalogue = next(iter(sorted((path / "catalogs").glob("*.fits"))), None)
        if catalogue is None or path.name == f"v{version}":
            continue
        try:
            with FitsFile(catalogue) as file:
                cards = file.header("PRIMARY")
            model = f"{cards['MODEL']} {cards['MODELVER']} (sha256 {str(cards['MODELSHA'])[:8]})"
            named = (str(cards["VERSION"]), str(cards["DATE"]), model, str(cards.get("NOTE", "")))
        except (InputError, KeyError):
            continue
        found.append(CatalogueVersion(*named))
    return sorted(found, key=lambda each: each.date, reverse=True)


def _reading(files: Mapping[tuple[str, str], str]) -> Iterator[str]:
    (survey, program), path = next(iter(files.items()))
    yield "```python"
    yield "from astropy.table import Table"
    yield "import pyarrow.parquet as pq"
    yield ""
    yield f'catalogue = Table.read("{path}")'
    yield f'chosen = [("SURVEY", "=", "{survey}"), ("PROGRAM", "=", "{program}")]'
    yield 'table = pq.read_table("parquet", filters=[*chosen, ("Q_VALUE", "<=", 0.1)])'
    yield "```"


def _cell(value: object) -> str:
    """Return a value in one line of a Markdown table."""
    return " ".join(str(value).split()).replace("|", "\\|")
