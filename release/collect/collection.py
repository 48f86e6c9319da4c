"""Collection: the score tables of a release become one catalogue.

Every table is read to compare its rows with those of the whole release, and again for each pixel of
`ROW_GROUP_ORDER` that it lies in, to write them: a healpix coadd twice, a petal about three times.
In memory are the `RowIndex` and the rows of one pixel, never all of them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from outcrop import InputError
from outcrop.columns import Column
from outcrop.plan import Plan

from ..folder import publishing
from .columns import DESINAME, HEALPIX_29, catalogue_columns, of_fits, of_parquet
from .fits_catalogue import FitsCatalogue
from .parquet import ParquetFile, partition_path, require_pyarrow
from .positions import DESI_ORDER, coarser, pixels
from .primaries import primaries
from .provenance import Provenance
from .readme import Readme, earlier_versions
from .release_discoveries import ReleaseDiscoveries
from .row_index import ROW_GROUP_ORDER, RowIndex
from .scan import ScannedRelease, scan
from .score_tables import ScoreTable
from .tally import Tally
from .zcatalog import Zcatalog, match

CATALOGUES: Final = "catalogs"
PARQUET: Final = "parquet"
README: Final = "README.md"
CHECKSUMS: Final = "SHA256SUMS"

_ROW_GROUP: Final = 1 << 16  # rows at least, but in the last one
_HIGHEST_SNR: Final = "eligible, then highest SNR"
_ZCAT_PRIMARY: Final = "ZCAT_PRIMARY"


@dataclass(frozen=True)
class CollectOptions:
    """How a catalogue is made.

    Attributes
    ----------
    version : str
        As ``1.0``; the catalogue's folder is ``v1.0``.
    note : str
        What is new in it.
    specprod : str
        Name of the spectroscopic production, where the tables do not say.
    plan : Plan, optional
        As of `scan`.
    zcatalog : Path, optional
        Where DESINAME and PRIMARY come from.
    allow_missing : bool
        As of `scan`.
    overwrite : bool
        Replace a catalogue of this version.
    """

    version: str = "1.0"
    note: str = ""
    specprod: str = ""
    plan: Plan | None = None
    zcatalog: Path | None = None
    allow_missing: bool = False
    overwrite: bool = False


def collect(tables: Path, output: Path, options: CollectOptions) -> Readme:
    """Write the catalogue of all score tables below a folder.

    Parameters
    ----------
    tables : Path
        Folder that a release was scored into.
    output : Path
        Folder of the catalogues' versions.
    options : CollectOptions

    Returns
    -------
    Readme
        What was written, in numbers.

    Raises
    ------
    InputError
        Where a table or the zcatalog is not what it must be, or the catalogue cannot be written.
        An earlier one is kept, and nothing is left behind.
    """
    require_pyarrow()
    with publishing(output / f"v{options.version}", CHECKSUMS, options.overwrite) as folder:
        scanned = scan(tables, options.plan, options.allow_missing)
        return _Collection.of(scanned, tables, options).write(folder, output)


@dataclass(frozen=True, eq=False)
class _Collection:
    """All that is known of a catalogue before its rows are written.

    Attributes
    ----------
    scanned : ScannedRelease
    tables : Path
        Their folder.
    columns : tuple of Column
    widths : dict of str to int
        As of `FitsCatalogue`.
    zcatalog : Zcatalog or None
    zcatalog_row : (N,) int64
        −1 where a row is in none.
    primary : (N,) bool
    discoveries : ReleaseDiscoveries
    provenance : Provenance
    """

    scanned: ScannedRelease
    tables: Path
    columns: tuple[Column, ...]
    widths: dict[str, int]
    zcatalog: Zcatalog | None
    zcatalog_row: NDArray[np.int64]
    primary: NDArray[np.bool_]
    discoveries: ReleaseDiscoveries
    provenance: Provenance

    @staticmethod
    def of(scanned: ScannedRelease, tables: Path, options: CollectOptions) -> "_Collection":
        index = scanned.index
        zcatalog = None if options.zcatalog is None else Zcatalog(options.zcatalog)
        zcatalog_row = np.full(0 if zcatalog is None else len(index), -1, np.int64)
        if zcatalog is None:
            primary = primaries(index.targetid, index.eligible, index.snr)
        else:
            zcatalog_row, of_zcatalog = match(index, zcatalog)
            primary = np.zeros(len(index), np.bool_)
            # A coadd may have a target twice; only one of the two counts.
            rows = np.flatnonzero(of_zcatalog)
            primary[rows] = primaries(index.targetid[rows], index.eligible[rows], index.snr[rows])

        discoveries = ReleaseDiscoveries.find(index, primary)
        first = index.tables[0]
        provenance = Provenance.of(
            first.model,
            ", ".join(sorted({table.outcrop for table in index.tables})),
            index.cards,
            SPECPROD=_specprod(first.specprod, options.specprod),
            VERSION=options.version,
            DATE=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            NOTE=options.note,
            FDRBASIS=discoveries.basis,
            FDRTESTS=discoveries.tested,
            PRIMRULE=_HIGHEST_SNR if zcatalog is None else _ZCAT_PRIMARY,
            ZCATALOG=None if zcatalog is None else zcatalog.path.name,
        )
        explained = any(table.explained for table in index.tables)
        named = zcatalog is not None and zcatalog.has_names
        columns = catalogue_columns(explained, named)
        return _Collection(
            scanned,
            tables,
            columns,
            _widths(columns, index),
            zcatalog,
            zcatalog_row,
            primary,
            discoveries,
            provenance,
        )

    def write(self, folder: Path, output: Path) -> Readme:
        """Write all files into a folder, and return the README."""
        index = self.scanned.index
        cards = self.provenance.cards
        (folder / CATALOGUES).mkdir()
        tallies: dict[tuple[str, str], Tally] = {}
        files: dict[tuple[str, str], str] = {}
        with tqdm(total=len(index), desc="write", unit="row", unit_scale=True, delay=2) as bar:
            for partition, numbers in index.partitions():
                name = "-".join(("outcrop", cards["SPECPROD"], *partition)) + ".fits"
                files[partition] = f"{CATALOGUES}/{name}"
                tally = Tally(tables=len(numbers))
                for block in self._write_partition(folder, files[partition], partition, numbers):
                    tally.add(block)
                    bar.update(len(block["TARGETID"]))
                tallies[partition] = tally

        readme = Readme(
            self.provenance,
            self.columns,
            files,
            tallies,
            self.discoveries,
            {path: (folder / path).stat().st_size for path in files.values()},
            self._unmatched(),
            self.scanned,
            self.tables,
            earlier_versions(output, cards["VERSION"]),
        )
        # Names of files may be no text.
        text = readme.text().encode("utf-8", "backslashreplace")
        (folder / README).write_bytes(text)
        (folder / CHECKSUMS).write_text(_checksums(folder), encoding="utf-8")
        return readme

    def _write_partition(
        self, folder: Path, name: str, partition: tuple[str, str], numbers: Sequence[int]
    ) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Write the rows of a survey and program to both of its files; yield them in blocks."""
        rows = sum(self.scanned.index.tables[number].rows for number in numbers)
        with ExitStack() as stack:
            catalogue = stack.enter_context(
                FitsCatalogue(
                    folder / name,
                    of_fits(self.columns),
                    self.widths,
                    rows,
                    self.provenance,
                    partition,
                )
            )
            parquet = stack.enter_context(
                ParquetFile(
                    partition_path(folder / PARQUET, partition),
                    of_parquet(self.columns),
                    self.widths["LATENT"],
                    self.provenance,
                )
            )
            for block in self._blocks(numbers):
                catalogue.write(block)
                parquet.write(block)
                yield block

    def _blocks(self, numbers: Sequence[int]) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the rows of some tables, sorted by pixel, in blocks of row groups."""
        touching: dict[int, list[int]] = {}
        for number in numbers:
            for pixel in self.scanned.index.touched[number].tolist():
                touching.setdefault(pixel, []).append(number)
        waiting: list[dict[str, NDArray[Any]]] = []
        count = 0
        for pixel in sorted(touching):
            parts = [_in_pixel(self._read(number), pixel) for number in touching[pixel]]
            block = _joined(parts)
            order = np.lexsort((block["TARGETID"], block[HEALPIX_29.name]))
            waiting.append({name: values[order] for name, values in block.items()})
            count += len(order)
            if count >= _ROW_GROUP:
                yield _joined(waiting)
                waiting, count = [], 0
        if waiting:
            yield _joined(waiting)

    def _read(self, number: int) -> dict[str, NDArray[Any]]:
        """Return the columns of a table, with those of the catalogue."""
        index, rows = self.scanned.index, self.scanned.index.rows_of(number)
        description = index.tables[number]
        columns = ScoreTable.read(description.path).columns()
        if not description.current:
            raise InputError(
                f"{description.path} changed while it was collected; wait until the release has "
                "been scored, and run again"
            )

        pixel = pixels(columns["TARGET_RA"], columns["TARGET_DEC"])
        placed = coarser(pixel, DESI_ORDER).astype(np.int32)
        survey, program = (text.encode() for text in description.partition)
        columns |= {
            HEALPIX_29.name: pixel,
            "SURVEY": np.full(len(pixel), survey),
            "PROGRAM": np.full(len(pixel), program),
            "HEALPIX": np.where(placed >= 0, placed, np.int32(description.healpix)),
            "PRIMARY": self.primary[rows],
            "Q_VALUE": self.discoveries.q_value[rows],
        }
        if self.zcatalog is not None and DESINAME in self.columns:
            columns[DESINAME.name] = self.zcatalog.names(self.zcatalog_row[rows])
        wanted = {HEALPIX_29.name, *(column.name for column in self.columns)}
        return {name: values for name, values in columns.items() if name in wanted}

    def _unmatched(self) -> int:
        """Return how many eligible rows are not in the zcatalog."""
        if self.zcatalog is None:
            return 0
        return int(np.count_nonzero(self.scanned.index.eligible & (self.zcatalog_row < 0)))


def _specprod(found: str, given: str) -> str:
    if found and given and found != given:
        raise InputError(f"the tables are of {found}; leave out --specprod {given}")
    if not (found or given):
        raise InputError("the tables do not name their production; give --specprod, as iron")
    return found or given


def _widths(columns: Sequence[Column], index: RowIndex) -> dict[str, int]:
    """Return the widths of strings, and of LATENT, that fit all tables."""
    texts = {column.name for column in columns if column.format.endswith("A")}
    widths = {"LATENT": 0, **dict.fromkeys(texts, 1)}
    for table in index.tables:
        for name, width in table.widths.items():
            if name in widths:
                widths[name] = max(widths[name], width)
        widths["SURVEY"] = max(widths["SURVEY"], len(table.survey))
        widths["PROGRAM"] = max(widths["PROGRAM"], len(table.program))
    return widths


def _in_pixel(table: dict[str, NDArray[Any]], pixel: int) -> dict[str, NDArray[Any]]:
    rows = np.flatnonzero(coarser(table[HEALPIX_29.name], ROW_GROUP_ORDER) == pixel)
    return {name: values[rows] for name, values in table.items()}


def _joined(blocks: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([each[name] for each in blocks]) for name in blocks[0]}


def _checksums(folder: Path) -> str:
    """Return the sha256 of every file below a folder, as sha256sum writes it."""
    lines: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    return "".join(lines)
