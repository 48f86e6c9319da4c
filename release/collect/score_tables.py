"""Score tables of a release: where they are, what their headers say, and their rows."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from outcrop import InputError, ModelIdentity
from outcrop._fits import FitsFile, FitsTable
from outcrop.columns import COLUMNS, EXPLANATION_COLUMNS, Column

from .columns import native, unknown

TABLES: Final = "outliers-*.fits"
_REMEDY: Final = "score it again"
_UNKNOWN: Final = "unknown"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_+-]*")
_NEEDED: Final = ("MODEL", "MODELVER", "MODELSHA", "PLEVEL")


@dataclass(frozen=True, eq=False)
class TableDescription:
    """What the headers of a score table say.

    Attributes
    ----------
    path : Path
    coadd : str
        Name of the coadd that was scored.
    model : ModelIdentity
    survey, program : str
        ``unknown`` where the coadd did not say.
    healpix, tileid, petal : int
        Of a healpix coadd the first, of a tile's petal the others; −1 where there is none.
    specprod : str
        Name of the spectroscopic production, as ``iron``; empty where the coadd did not say.
    outcrop : str
        Version that scored.
    noise : mapping of str to float
        Variance of the noise over the reported one, by camera; empty where it was not measured.
    noise_corrected : bool
        Whether the noise was corrected where there was something to correct.
    explained : bool
        Whether flagged spectra were explained.
    widths : mapping of str to int
        Of its strings, and of LATENT.
    rows : int
    written : tuple of int
        Inode, bytes, and time in ns of the file: others where another takes its place.
    """

    path: Path
    coadd: str
    model: ModelIdentity
    survey: str
    program: str
    healpix: int
    tileid: int
    petal: int
    specprod: str
    outcrop: str
    noise: Mapping[str, float]
    noise_corrected: bool
    explained: bool
    widths: Mapping[str, int]
    rows: int
    written: tuple[int, int, int]

    @property
    def of_tile(self) -> bool:
        """Whether it is of a petal of a tile, not of a healpix coadd."""
        return self.tileid >= 0

    @property
    def partition(self) -> tuple[str, str]:
        """Survey and program."""
        return self.survey, self.program

    @property
    def current(self) -> bool:
        """Whether the file is still the one that was read."""
        return _written(self.path) == self.written


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """A score table in memory.

    Attributes
    ----------
    description : TableDescription
    cards : mapping
        The header of OUTLIERS: model, thresholds, packages.
    rows : FitsTable
        OUTLIERS.
    """

    description: TableDescription
    cards: Mapping[str, Any]
    rows: FitsTable

    @staticmethod
    def read(path: Path) -> "ScoreTable":
        """Read a score table; InputError where it cannot be read, or is none."""
        written = _written(path)
        with FitsFile(path) as file:
            primary, cards = file.header("PRIMARY"), file.header("OUTLIERS")
            rows = file.table("OUTLIERS")
        missing = [name for name in _NEEDED if name not in cards]
        if missing:
            raise InputError(f"{path} has no {missing[0]} in the header of OUTLIERS; {_REMEDY}")
        if "INFIL000" not in primary:
            raise InputError(f"{path} does not name its coadd in INFIL000; {_REMEDY}")

        healpix = _integer(path, primary, "HEALPIX", "HPXPIXEL")
        description = TableDescription(
            path=path,
            coadd=str(primary["INFIL000"]),
            model=ModelIdentity(*(str(cards[name]) for name in _NEEDED[:3])),
            survey=_name(path, primary, "SURVEY"),
            program=_name(path, primary, "PROGRAM", "FAPRGRM"),
            healpix=healpix,
            tileid=-1 if healpix >= 0 else _integer(path, primary, "TILEID"),
            petal=-1 if healpix >= 0 else _integer(path, primary, "PETAL"),
            specprod=str(primary.get("SPECPROD", "")),
            outcrop=str(primary.get("DEPVER00", _UNKNOWN)),
            noise=_noise(primary),
            noise_corrected="SKYCORR" in primary,
            explained="CAUSE" in rows,
            widths=_widths(cards),
            rows=len(rows),
            written=written,
        )
        return ScoreTable(description, cards, rows)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return all columns of score tables by name; of explanations unknown ones, if none."""
        return {
            column.name: self._column(column)
            if column.name in self.rows or column in COLUMNS
            else unknown(column, len(self.rows))
            for column in (*COLUMNS, *EXPLANATION_COLUMNS)
        }

    def _column(self, column: Column) -> NDArray[Any]:
        name, rows = column.name, self.rows
        if name == "LATENT":
            return rows.vectors(name)
        if column.format.endswith("A"):
            return native(column, rows.strings(name))
        if column.format == "L":
            return rows.booleans(name)
        return native(column, rows.floats(name) if column.format in "DE" else rows.integers(name))


def find_tables(folder: Path) -> list[Path]:
    """Return the score tables below a folder, sorted; InputError where there is none."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that a release was scored into")
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=_raise_input_error)
        for name in names
        if Path(name).match(TABLES)
    ]
    if not found:
        raise InputError(f"no {TABLES} below {folder}; name the folder of a scored release")
    return sorted(found)


def _raise_input_error(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error


def _written(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _name(path: Path, cards: Mapping[str, Any], *keywords: str) -> str:
    """Return the value of the first keyword that is there, as part of a file's name."""
    found = next((str(cards[key]).strip().lower() for key in keywords if key in cards), _UNKNOWN)
    if not _NAME.fullmatch(found):
        raise InputError(
            f"{path}: {keywords[0]} is {found!r}; expected letters and digits, as main; {_REMEDY}"
        )
    return found


def _integer(path: Path, cards: Mapping[str, Any], *keywords: str) -> int:
    found = next((cards[key] for key in keywords if key in cards), -1)
    if type(found) is not int or not -1 <= found < 1 << 31:
        raise InputError(f"{path}: {keywords[0]} is {found!r}; expected an integer; {_REMEDY}")
    return found


def _noise(cards: Mapping[str, Any]) -> dict[str, float]:
    found = {camera: cards.get(f"NOISE_{camera.upper()}") for camera in "brz"}
    return {camera: value for camera, value in found.items() if isinstance(value, float)}


def _widths(cards: Mapping[str, Any]) -> dict[str, int]:
    """Return how many letters or numbers a column has, where there may be several."""
    columns = range(1, int(cards["TFIELDS"]) + 1)
    forms = {str(cards[f"TTYPE{n}"]): str(cards[f"TFORM{n}"]) for n in columns}
    return {
        name: int(form[:-1] or 1)
        for name, form in forms.items()
        if form.endswith("A") or name == "LATENT"
    }
