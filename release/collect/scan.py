"""Scan: every score table of a release is read once, and must belong to the same catalogue."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tqdm import tqdm

from outcrop import InputError
from outcrop.plan import Plan, PlannedPetal

from ..journal import PLAN
from .row_index import RowIndex, RowIndexBuilder
from .score_tables import ScoreTable, TableDescription, find_tables

_LISTED: Final = 10
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, eq=False)
class ScannedRelease:
    """The score tables of a release.

    Attributes
    ----------
    index : RowIndex
    damaged : list of str
        Why each table that is left out cannot be read.
    missing : list of str
        The planned coadds that have no table.
    """

    index: RowIndex
    damaged: list[str]
    missing: list[str]


def scan(folder: Path, plan: Plan | None = None, allow_missing: bool = False) -> ScannedRelease:
    """Read all score tables below a folder.

    Parameters
    ----------
    folder : Path
    plan : Plan, optional
        What was to be scored; by default the plan of the last run into the folder, which need not
        name all tables. It also tells survey and program where a coadd does not.
    allow_missing : bool
        Leave out damaged and missing tables, instead of refusing the release.

    Raises
    ------
    InputError
        Where a table is damaged or missing, of another model, production or way of correcting the
        noise than the others, there twice, or not planned; the message names it.
    """
    wanted = _last_plan(folder) if plan is None else plan
    planned = {} if wanted is None else {_table_name(petal): petal for petal in wanted.petals}
    builder, damaged = RowIndexBuilder(), list[str]()
    paths = find_tables(folder)
    for path in tqdm(paths, desc="read", unit="table", delay=2):
        name = path.relative_to(folder).as_posix()
        if plan is not None and name not in planned:
            raise InputError(
                f"{path} is not planned; remove it, or give the plan that it was scored by"
            )
        try:
            table = ScoreTable.read(path)
            builder.add(_with_plan(table, planned[name]) if name in planned else table)
        except InputError as error:
            damaged.append(str(error))

    found = {path.relative_to(folder).as_posix() for path in paths}
    missing = sorted(petal.coadd for name, petal in planned.items() if name not in found)
    if (damaged or missing) and not allow_missing:
        raise InputError(_refusal(damaged, missing, len(paths)))
    if not builder.tables:
        raise InputError(
            f"none of the {len(paths)} tables below {folder} can be read: {damaged[0]}"
        )
    _check(builder.tables)
    return ScannedRelease(builder.build(), damaged, missing)


def _last_plan(folder: Path) -> Plan | None:
    """Return the plan of the last run into a folder; None where there was no run."""
    path = folder / PLAN
    return Plan.read(path) if path.is_file() else None


def _table_name(petal: PlannedPetal) -> str:
    """Return the path of a planned petal's score table, in the folder of its release."""
    parent, slash, name = petal.coadd.rpartition("/")
    return f"{parent}{slash}outliers{name.removeprefix('coadd').removesuffix('.gz')}"


def _with_plan(table: ScoreTable, petal: PlannedPetal) -> ScoreTable:
    """Return a table with survey and program of the plan, where it has none itself."""
    one = table.description
    survey = petal.survey if one.survey == _UNKNOWN and petal.survey else one.survey
    program = petal.program if one.program == _UNKNOWN and petal.program else one.program
    return replace(table, description=replace(one, survey=survey, program=program))


def _refusal(damaged: Sequence[str], missing: Sequence[str], tables: int) -> str:
    lines = [f"of {tables} tables {len(damaged)} cannot be read"] if damaged else []
    lines += [f"  {each}" for each in _some(damaged)]
    if missing:
        lines.append(f"{len(missing)} planned coadds have no table")
        lines += [f"  {each}" for each in _some(missing)]
    lines.append("run the release again, or leave them out with --allow-missing")
    return "\n".join(lines)


def _some(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return [*lines[:_LISTED], *more]


def _check(tables: Sequence[TableDescription]) -> None:
    """Refuse tables that cannot be in one catalogue."""
    _check_same(tables, lambda table: table.model, "models", "keep one model's tables in a folder")
    _check_same(
        tables,
        lambda table: table.specprod,
        "spectroscopic productions",
        "collect one production at a time",
    )
    _check_same(
        tables,
        lambda table: "with noise correction" if table.noise_corrected else "without",
        "ways of taking the noise",
        "score all with it, or all without",
    )

    paths: defaultdict[str, list[Path]] = defaultdict(list)
    for table in tables:
        paths[table.coadd].append(table.path)
    for coadd, several in paths.items():
        if len(several) > 1:
            raise InputError(
                f"{several[0]} and {several[1]} are both of {coadd}; remove one of them"
            )


def _check_same(
    tables: Iterable[TableDescription],
    value: Callable[[TableDescription], Hashable],
    what: str,
    remedy: str,
) -> None:
    """Refuse tables that differ in a value, naming each value with its first table."""
    tables = list(tables)
    counts = Counter(map(value, tables))
    if len(counts) > 1:
        first = {value(table): table.path for table in reversed(tables)}
        found = "; ".join(f"{one} in {count}, as {first[one]}" for one, count in counts.items())
        raise InputError(f"the tables are of {len(counts)} {what}: {found}; {remedy}")
