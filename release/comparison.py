"""Comparison: the rankings of two catalogues, matched by TARGETID, SURVEY and PROGRAM.

A rank is that in the catalogue's own list: 1 has the smallest p-value. Only rows with a p-value
have one. Where a target has several rows in a survey and program, as on several tiles, the one of
the highest S/N counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from outcrop import InputError
from outcrop._constants import Q_LEVEL

if TYPE_CHECKING:
    from astropy.table import Table

A, B = 0, 1
_COLUMNS: Final = (
    *("TARGETID", "HEALPIX", "TARGET_RA", "TARGET_DEC", "SNR", "Z"),
    *("P_VALUE", "ANOMALY", "Q_VALUE"),
)
_NAMES: Final = ("SURVEY", "PROGRAM")
_CHANGES: Final = ("both", "lost", "new")
_LISTED: Final = 10


@dataclass(frozen=True, eq=False)
class CatalogueRanking:
    """The rows of a catalogue that have a p-value, the most anomalous first.

    Attributes
    ----------
    path : Path
    name : str
        Model and production.
    partitions : list of (str, str)
        Its surveys and programs.
    columns : dict of (n,) arrays
        By name; RANK begins with 1, PARTITION is the number of survey and program.
    """

    path: Path
    name: str
    partitions: list[tuple[str, str]]
    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.columns["TARGETID"])

    def values(self, name: str, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return values of some rows; SURVEY and PROGRAM are texts."""
        if name not in _NAMES:
            return self.columns[name][rows]
        texts = np.array([each[_NAMES.index(name)] for each in self.partitions])
        return texts[self.columns["PARTITION"][rows]]


def read_ranking(catalogue: Path) -> CatalogueRanking:
    """Read the ranking of a catalogue; InputError where it is none, or cannot be read."""
    from .collect.parquet import require_pyarrow

    require_pyarrow()
    import pyarrow as pa
    import pyarrow.dataset as ds

    folder = catalogue / "parquet"
    if not folder.is_dir():
        raise InputError(f"{catalogue} has no folder parquet; name a vX.Y of release collect")
    try:
        dataset = ds.dataset(folder, partitioning=_partitioning(pa, ds))
        metadata = dataset.schema.metadata or {}
        ranked = ds.field("P_VALUE").is_valid() & ~ds.field("P_VALUE").is_nan()
        table = dataset.to_table(columns=[*_COLUMNS, "SURVEY", "PROGRAM"], filter=ranked)
        name = "{} {} on {}".format(
            *(metadata[f"outcrop.{key}".encode()].decode() for key in ("model", "modelver")),
            metadata[b"outcrop.specprod"].decode(),
        )
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{folder} cannot be read: {error}; make it again with release collect"
        ) from error

    columns = {each: table[each].to_numpy() for each in _COLUMNS}
    partitions, columns["PARTITION"] = _partitions(table)
    if not len(columns["TARGETID"]):
        raise InputError(f"no row of {catalogue} has a p-value; there is nothing to compare")
    chosen = _first_of_each_target(columns)
    order = chosen[np.lexsort((columns["TARGETID"][chosen], columns["P_VALUE"][chosen]))]
    columns = {each: values[order] for each, values in columns.items()}
    columns["RANK"] = np.arange(1, len(order) + 1)
    return CatalogueRanking(catalogue, name, partitions, columns)


def _partitioning(pa: Any, ds: Any) -> Any:
    """Return that of the folders; both names are texts even where they look like numbers."""
    fields = [(name, pa.string()) for name in ("SURVEY", "PROGRAM")]
    return ds.partitioning(pa.schema(fields), flavor="hive")


def _partitions(table: Any) -> tuple[list[tuple[str, str]], NDArray[np.intp]]:
    """Return the surveys and programs of a table, and the number of that of each row."""
    surveys, programs = (table[name].combine_chunks().dictionary_encode() for name in _NAMES)
    found = [
        (survey, program)
        for survey in surveys.dictionary.to_pylist()
        for program in programs.dictionary.to_pylist()
    ]
    number = surveys.indices.to_numpy().astype(np.intp) * len(programs.dictionary)
    return found, number + programs.indices.to_numpy()


def _first_of_each_target(columns: dict[str, NDArray[Any]]) -> NDArray[np.intp]:
    """Return the row of the highest S/N of each target in a survey and program."""
    order = np.lexsort((-columns["SNR"], columns["PARTITION"], columns["TARGETID"]))
    return order[~_same_as_before(columns["TARGETID"][order], columns["PARTITION"][order])]


def _same_as_before(*keys: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have the same keys as the one before them."""
    same = np.zeros(len(keys[0]), np.bool_)
    same[1:] = np.all([each[1:] == each[:-1] for each in keys], axis=0)
    return same


def _matched(a: CatalogueRanking, b: CatalogueRanking) -> NDArray[np.intp]:
    """Return the rows of A and B that are the same target, (2, n), in the order of A."""
    partitions = sorted({*a.partitions, *b.partitions})
    numbers = [
        np.array([partitions.index(each) for each in one.partitions])[one.columns["PARTITION"]]
        for one in (a, b)
    ]
    targetid = np.concatenate([a.columns["TARGETID"], b.columns["TARGETID"]])
    partition = np.concatenate(numbers)

    # Stable: of two equal ones that of A comes first.
    order = np.lexsort((partition, targetid))
    second = np.flatnonzero(_same_as_before(targetid[order], partition[order]))
    rows = np.array([order[second - 1], order[second] - len(a)])
    return rows[:, np.argsort(rows[A])]


@dataclass(frozen=True, eq=False)
class CatalogueComparison:
    """Two rankings, and which rows of them are the same target.

    Attributes
    ----------
    rankings : (CatalogueRanking, CatalogueRanking)
        A and B.
    common : (2, n) int
        Rows of A and of B of the targets that both have, in the order of A.
    top : int
        Length of the lists of the most anomalous.
    """

    rankings: tuple[CatalogueRanking, CatalogueRanking]
    common: NDArray[np.intp]
    top: int

    @staticmethod
    def of(a: CatalogueRanking, b: CatalogueRanking, top: int) -> "CatalogueComparison":
        """Match two rankings; InputError where they have no target in common."""
        common = _matched(a, b)
        if not common.size:
            raise InputError(
                f"{a.path} and {b.path} have no target with a p-value in common; compare "
                "catalogues of the same targets"
            )
        return CatalogueComparison((a, b), common, top)

    def ranks(self, which: int) -> NDArray[np.int64]:
        """Return the ranks of the common targets in A or B."""
        return self.rankings[which].columns["RANK"][self.common[which]]

    def spearman(self) -> float:
        """Return the correlation of the ranks of the common targets, among themselves."""
        # In the order of A, so that the ranks in A are 0, 1, 2, ...
        ranks = np.argsort(np.argsort(self.common[B]))
        if len(ranks) < 2:
            return float("nan")
        return float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1])

    def overlap(self, top: int) -> int:
        """Return how many targets are among the first of both."""
        return int(np.count_nonzero((self.ranks(A) <= top) & (self.ranks(B) <= top)))

    def entered(self, which: int) -> NDArray[np.intp]:
        """Return the rows of A or B that are in its top list and not in that of the other."""
        partner = self._partner(which)
        other = self.rankings[1 - which].columns["RANK"]
        rows = np.arange(min(self.top, len(self.rankings[which])))
        inside = (partner[rows] >= 0) & (other[partner[rows]] <= self.top)
        return rows[~inside]

    def flagged_only(self, which: int) -> NDArray[np.intp]:
        """Return the common rows of A or B that are flagged in it and not in the other."""
        own, other = (self.rankings[n].columns["ANOMALY"] for n in (which, 1 - which))
        return np.sort(self.common[which][own[self.common[which]] & ~other[self.common[1 - which]]])

    def _partner(self, which: int) -> NDArray[np.intp]:
        """Return for each row of A or B the row of the other; −1 where it has none."""
        partner = np.full(len(self.rankings[which]), -1, np.intp)
        partner[self.common[which]] = self.common[1 - which]
        return partner

    def table(self) -> "Table":
        """Return the targets in either top list, and those flagged in one catalogue only.

        What a target does not have, because it is in one catalogue only, is masked. CHANGE says
        ``new`` (in the top list of B only), ``lost`` (of A only) or ``both``; it is empty outside
        of the lists. RANK_CHANGE is positive where a target is more anomalous in B.
        """
        from astropy.table import MaskedColumn, Table

        partners = self._partner(A), self._partner(B)
        rows_a = np.union1d(np.arange(min(self.top, len(self.rankings[A]))), self.flagged_only(A))
        rows_b = np.union1d(np.arange(min(self.top, len(self.rankings[B]))), self.flagged_only(B))
        rows_a = np.union1d(rows_a, partners[B][rows_b][partners[B][rows_b] >= 0])
        only_b = rows_b[partners[B][rows_b] < 0]
        rows = np.concatenate([rows_a, np.full(len(only_b), -1)])
        rows_in_b = np.concatenate([partners[A][rows_a], only_b])

        both = [(self.rankings[A], rows), (self.rankings[B], rows_in_b)]
        table: Any = Table(meta=self._meta())
        for name in ("TARGETID", "SURVEY", "PROGRAM", "HEALPIX", "TARGET_RA", "TARGET_DEC"):
            values = [ranking.values(name, of) for ranking, of in both]
            table[name] = np.where(rows >= 0, values[A], values[B])
        for name in ("RANK", "P_VALUE", "Q_VALUE", "ANOMALY", "SNR", "Z"):
            for letter, (ranking, of) in zip("AB", both, strict=True):
                table[f"{name}_{letter}"] = MaskedColumn(ranking.values(name, of), mask=of < 0)

        table["RANK_CHANGE"] = table["RANK_A"] - table["RANK_B"]
        inside = [np.ma.filled(table[f"RANK_{n}"] <= self.top, False) for n in "AB"]
        table["CHANGE"] = np.select([inside[A] & inside[B], inside[A], inside[B]], _CHANGES, "")
        for name in ("TARGET_RA", "TARGET_DEC"):
            table[name].unit = "deg"
        return table

    def text(self) -> str:
        """Return the comparison in words."""
        return "\n".join(self._lines()) + "\n"

    def _meta(self) -> dict[str, Any]:
        return {
            "A": str(self.rankings[A].path),
            "B": str(self.rankings[B].path),
            "MODEL_A": self.rankings[A].name,
            "MODEL_B": self.rankings[B].name,
            "TOP": self.top,
        }

    def _lines(self) -> Iterator[str]:
        a, b = self.rankings
        common = len(self.common[A])
        yield f"A: {a.path}, {a.name}: {len(a):,} targets with a p-value"
        yield f"B: {b.path}, {b.name}: {len(b):,} targets with a p-value"
        yield (
            f"{common:,} in both, {len(a) - common:,} in A only, {len(b) - common:,} in B only; "
            f"Spearman's rank correlation {self.spearman():.4f}"
        )
        tops = {top for top in (10, 100, 1000, 10000) if top <= min(len(a), len(b))}
        for top in sorted({*tops, self.top}):
            yield f"top {top:,}: {self.overlap(top):,} in both"

        flags = [self.rankings[n].columns["ANOMALY"][self.common[n]] for n in (A, B)]
        yield (
            "flagged, of those in both catalogues: "
            f"{np.count_nonzero(flags[A] & flags[B]):,} in both, "
            f"{len(self.flagged_only(A)):,} in A only, {len(self.flagged_only(B)):,} in B only"
        )
        found = [int(np.count_nonzero(one.columns["Q_VALUE"] <= Q_LEVEL)) for one in (a, b)]
        yield (
            f"discoveries at a false discovery rate of {Q_LEVEL:g}: {found[A]:,} in A, "
            f"{found[B]:,} in B"
        )

        yield from self._listed(f"new in the top {self.top:,} of B", B)
        yield from self._listed(f"lost from the top {self.top:,} of A", A)

    def _listed(self, title: str, which: int) -> Iterator[str]:
        rows, partner = self.entered(which), self._partner(which)
        yield ""
        yield f"{title}: {len(rows):,}" + (f", the first {_LISTED}" if len(rows) > _LISTED else "")
        own, other = self.rankings[which], self.rankings[1 - which].columns
        here, there = "AB"[which], "BA"[which]
        for row in rows[:_LISTED].tolist():
            survey, program = own.partitions[own.columns["PARTITION"][row]]
            p_value, at = own.columns["P_VALUE"][row], partner[row]
            found = f"{at + 1:,} (p {other['P_VALUE'][at]:.1e})" if at >= 0 else "none"
            yield (
                f"  {own.columns['TARGETID'][row]} {survey} {program}: {here} {row + 1:,} "
                f"(p {p_value:.1e}), {there} {found}"
            )
