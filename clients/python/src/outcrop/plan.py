"""Plan: the petals of a release that are to be scored, or trained on, and where their files are.

A plan is an ECSV table with one row for each coadd. Files are named relative to the plan's root, a
folder or an address as ``https://data.desi.lbl.gov/public/dr1/spectro/redux/iron``, so that one
plan serves every copy of a release.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

import csv
import io
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from astropy.table import Table
from astropy.table.meta import YamlParseError, get_header_from_yaml

from ._files import check_output, write_atomically
from .errors import InputError

LARGEST_PLAN: Final = 64 << 20
"""Bytes: of some 300,000 petals."""

_UNKNOWN: Final = -1
_LARGEST_NUMBER: Final = 1 << 53
_LARGEST_HEADER: Final = 1 << 16
_NAME: Final = re.compile(r"[A-Za-z0-9_]{0,20}")
# Not of a name: what a shell, an address or another system reads as something else.
_NOT_IN_PATH: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\?#%:]")
_ROOT: Final = re.compile(r"(?:(?:https|s3)://[^/]|(?![A-Za-z0-9+.-]*:/))[^\x00-\x1f\x7f]+")
_WHOLE: Final = re.compile(r"-?[0-9]{1,16}", re.ASCII)
# Of YAML: anchors and aliases, with which a small header fills the memory, and tags.
_NOT_PLAIN: Final = re.compile(r"(?:^|[\s\[{,:-])(?:[&*][\w-]|!(?!!omap$)\S)")
_NUMBERS: Final = ("healpix", "uniqpix", "tileid", "petal", "spectra", "size")
_LONGEST_PATH: Final = 1000
_LONGEST_NAME: Final = 200  # bytes: file systems have 255, and temporary names are longer
_DEEPEST: Final = 4
_REMEDY: Final = "make a plan with python -m release plan"


@dataclass(frozen=True)
class PlannedPetal:
    """A coadd of a plan, with its redrock file.

    Attributes
    ----------
    coadd, redrock : str
        Paths relative to the root of the plan, with ``/``.
    survey, program : str
        As ``main`` and ``bright``; empty where unknown.
    healpix, uniqpix : int
        Of a file of a healpix, and of one of an adaptive pixel; −1 where there is none.
    tileid, petal : int
        Of a tile's petal; −1 where there is none.
    spectra : int
        Rows expected; −1 where unknown.
    size : int
        Bytes of the coadd; −1 where unknown.

    Raises
    ------
    InputError
        Where a path does not stay below the root, or another value is not of its kind.
    """

    coadd: str
    redrock: str
    survey: str = ""
    program: str = ""
    healpix: int = _UNKNOWN
    uniqpix: int = _UNKNOWN
    tileid: int = _UNKNOWN
    petal: int = _UNKNOWN
    spectra: int = _UNKNOWN
    size: int = _UNKNOWN

    def __post_init__(self) -> None:
        for name in ("coadd", "redrock"):
            _check_path(name, getattr(self, name))
        for name in ("survey", "program"):
            value: object = getattr(self, name)
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise InputError(
                    f"{name} of {self.coadd} is {_shown(value)}; expected up to 20 letters and "
                    "digits"
                )
        for name in _NUMBERS:
            number: object = getattr(self, name)
            if type(number) is not int or not _UNKNOWN <= number < _LARGEST_NUMBER:
                raise InputError(
                    f"{name} of {self.coadd} is {_shown(number)}; expected a whole number, 0 or "
                    "more, or -1 where there is none"
                )


@dataclass(frozen=True, eq=False)
class Plan:
    """The petals of a release.

    Attributes
    ----------
    root : str
        Folder or address of the release: a path, ``https://`` or ``s3://``.
    petals : tuple of PlannedPetal
        In the order of their coadds' paths.
    meta : mapping
        What the plan was made of: source, selections, counts; as the header of the table says.
        Texts, numbers, truth values, and lists and mappings of these.

    Raises
    ------
    InputError
        Where the root is of another kind, a coadd is there twice, or `meta` has other values.
    """

    root: str
    petals: tuple[PlannedPetal, ...]
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not _ROOT.fullmatch(self.root):
            raise InputError(
                f"root of the plan is {_shown(self.root)}; expected a folder, or an address that "
                "begins with https:// or s3://"
            )

        # A score table is named after its coadd, gzipped or not.
        known: set[str] = set()
        for petal in self.petals:
            plain = petal.coadd.removesuffix(".gz")
            if plain in known:
                raise InputError(f"{petal.coadd} is in the plan twice; keep one of its rows")
            known.add(plain)

        _check_meta(self.meta)
        in_order = tuple(sorted(self.petals, key=lambda petal: petal.coadd))
        object.__setattr__(self, "petals", in_order)

    def address(self, path: str) -> str:
        """Return the path or address of a file of the plan."""
        return f"{self.root.rstrip('/')}/{path}"

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the table, ``.ecsv``; InputError where it exists or cannot be written."""
        target = Path(path)
        Plan.check_name(target, overwrite)

        columns = {
            each.name: np.array(
                [getattr(petal, each.name) for petal in self.petals],
                np.int64 if each.name in _NUMBERS else np.str_,
            )
            for each in fields(PlannedPetal)
        }
        meta = {"outcrop": "plan", "root": self.root, **self.meta}
        text = io.StringIO()
        Table(columns, meta=meta).write(text, format="ascii.ecsv")

        # What is written can be read.
        content = text.getvalue().encode()
        _parse(target, content, None)
        write_atomically(target, content, overwrite)

    @staticmethod
    def check_name(path: Path, overwrite: bool = False) -> None:
        """Raise InputError where a plan cannot be written, before any work is done for it."""
        if path.suffix != ".ecsv":
            raise InputError(f"{path} is no name of a plan; end it with .ecsv")
        check_output(path, overwrite)

    @staticmethod
    def read(path: str | os.PathLike[str], root: str | None = None) -> "Plan":
        """Read a plan, with another root if one is given.

        Columns other than coadd and redrock may be missing.

        Raises
        ------
        InputError
            Where the file cannot be read, is no plan, or names files outside its root.
        """
        source = Path(path)
        try:
            with source.open("rb") as stream:
                content = stream.read(LARGEST_PLAN + 1)
        except OSError as error:
            raise InputError(f"{source} cannot be read: {error.strerror}") from error

        return _parse(source, content, root)


def _parse(source: Path, content: bytes, root: str | None) -> Plan:
    """Return the plan that the bytes of a table describe, every value checked."""
    if len(content) > LARGEST_PLAN:
        raise InputError(
            f"{source} has more than {LARGEST_PLAN >> 20} MB, which no plan has; "
            "make several plans of parts of the release"
        )
    try:
        lines = io.StringIO(content.decode(), newline="")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is no plan: {error}; {_REMEDY}") from error

    meta, delimiter = _read_header(source, lines)
    own = str(meta.pop("root", ""))
    del meta["outcrop"]
    petals = tuple(_read_rows(source, csv.reader(lines, delimiter=delimiter, strict=True)))
    try:
        return Plan(own if root is None else root, petals, meta)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _read_header(source: Path, lines: io.StringIO) -> tuple[dict[str, Any], str]:
    """Return meta and delimiter of an ECSV table; the next line is that of the names."""
    header: list[str] = []
    start = 0
    while (line := lines.readline()).startswith("#"):
        header.append(line[1:].rstrip())
        start = lines.tell()
        if start > _LARGEST_HEADER:
            raise InputError(
                f"{source} is no plan: its header has more than {_LARGEST_HEADER >> 10} kB; "
                f"{_REMEDY}"
            )
    lines.seek(start)

    if not header or not header[0].startswith(" %ECSV"):
        raise InputError(f"{source} is no plan: its first line is not # %ECSV 1.0; {_REMEDY}")
    if any(_NOT_PLAIN.search(line) for line in header):
        raise InputError(f"{source} is no plan: its header has anchors or tags; {_REMEDY}")
    try:
        parsed: Any = get_header_from_yaml(header)
    except YamlParseError as error:
        raise InputError(f"{source} is no plan: its header is not YAML; {_REMEDY}") from error

    meta = _mapping(_mapping(parsed).get("meta"))
    if meta.get("outcrop") != "plan":
        raise InputError(f"{source} is no plan: its meta has no outcrop: plan; {_REMEDY}")
    delimiter = _mapping(parsed).get("delimiter", " ")
    if delimiter not in (" ", ","):
        raise InputError(
            f"{source}: its delimiter is {_shown(delimiter)}; expected a space or a comma"
        )
    return meta, delimiter


def _mapping(value: object) -> dict[Any, Any]:
    return dict(cast(Mapping[Any, Any], value)) if isinstance(value, Mapping) else {}


def _read_rows(source: Path, rows: Iterator[list[str]]) -> Iterator[PlannedPetal]:
    """Yield the petals of a table whose first row has the names of its columns."""
    known = [each.name for each in fields(PlannedPetal)]
    row_number = 0
    try:
        names = next(rows, list[str]())
        if not {"coadd", "redrock"} <= set(names) <= set(known) or len(set(names)) < len(names):
            raise InputError(
                f"its columns are {_shown(names)}; expected coadd and redrock, and any of "
                f"{', '.join(known[2:])}"
            )
        row_number = 1
        for row in rows:
            if len(row) != len(names):
                raise InputError(f"{len(row)} values; expected {len(names)}")
            yield _planned(dict(zip(names, row, strict=True)))
            row_number += 1
    except (InputError, csv.Error) as error:
        where = f"row {row_number}" if row_number else "the row of names"
        raise InputError(f"{source}, {where}: {error}") from error


def _planned(row: dict[str, str]) -> PlannedPetal:
    values: dict[str, Any] = dict(row)
    for name in _NUMBERS:
        if name in row:
            values[name] = _whole(name, row[name])
    return PlannedPetal(**values)


def _whole(name: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise InputError(f"{name} is {_shown(text)}; expected a whole number, or -1 where unknown")
    return int(text)


def _check_path(name: str, path: object) -> None:
    """Raise InputError unless a path stays below any folder and below any address."""
    if not isinstance(path, str) or len(path) > _LONGEST_PATH or _NOT_IN_PATH.search(path):
        raise InputError(
            f"{name} is {_shown(path)}; expected a path below the root, of up to {_LONGEST_PATH} "
            r"characters, without control characters and \ ? # % :"
        )
    if {"", ".", ".."}.intersection(path.split("/")):
        raise InputError(
            f"{name} is {_shown(path)}; expected a path below the root, without .. and with single "
            "slashes"
        )
    if max(len(part.encode()) for part in path.split("/")) > _LONGEST_NAME:
        raise InputError(
            f"{name} is {_shown(path)}; expected a path whose folders and file have names of up to "
            f"{_LONGEST_NAME} bytes"
        )
    if not path.endswith((".fits", ".fits.gz")):
        raise InputError(
            f"{name} is {_shown(path)}; expected a name that ends in .fits or .fits.gz"
        )


def _check_meta(value: Any, name: str = "meta", depth: int = 0) -> None:
    """Raise InputError where there is something else than texts, numbers, lists and mappings."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, Mapping):
        inner = list(cast(Mapping[Any, Any], value).items())
        known = depth < _DEEPEST and all(isinstance(key, str) for key, _ in inner)
    elif isinstance(value, list | tuple):
        inner = list(enumerate(cast(Sequence[Any], value)))
        known = depth < _DEEPEST
    else:
        whole = isinstance(value, int) and abs(value) < 1 << 63
        finite = isinstance(value, float) and math.isfinite(value)
        known = isinstance(value, str) or whole or finite

    if not known:
        raise InputError(
            f"{name} of the plan is {_shown(cast(object, value))}; expected texts, numbers, and "
            "lists and mappings of these"
        )
    for key, each in inner:
        _check_meta(each, f"{name} {_shown(key)}", depth + 1)


def _shown(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    try:
        text = ascii(value)
    except ValueError:
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
