"""VI file: the CSV of visual inspections that desihub's prospect writes, and their merging.

A file has those of 16 columns that are known, in prospect's order. Prospect doubles quotes, but
encloses no field in them; commas in comments become semicolons, and all is ASCII. Such a file is
read and written again byte for byte. CSV with quoted fields, as of spreadsheets, is read too.

A text that a spreadsheet would take for a formula gets an apostrophe before it, which reading takes
off again.
"""

import csv
import io
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final

from ._files import check_output, write_atomically
from .errors import InputError
from .label import (
    ISSUES,
    LONGEST_COMMENT,
    Label,
    LabelledSpectrum,
    check_fields,
    check_scanner,
    check_targetid,
    guarded,
    unguarded,
)

VI_COLUMNS: Final = (
    *("TARGETID", "EXPID", "NIGHT", "TILEID"),
    *("Spec_version", "Redrock_version", "Template_version"),
    *("Redrock_spectype", "Redrock_z", "Redrock_deltachi2"),
    *("VI_scanner", "VI_quality", "VI_issue", "VI_z", "VI_spectype", "VI_comment"),
)
"""The columns of a VI file, in order."""
MERGED_COLUMNS: Final = (
    *("TARGETID", "Redrock_z", "best_z", "best_quality", "Redrock_spectype", "best_spectype"),
    *("all_VI_issues", "all_VI_comments", "merger_comment", "N_VI", "Redrock_deltachi2", "TILEID"),
)
"""The columns of a merged file, in order."""
SAME_Z: Final = 0.0033
"""Redshifts that differ by less, over 1 + z, are the same: 1000 km/s."""
UNDECIDED: Final = 999.0
"""The quality of a merged target whose scanners differ by more than 1."""

_NEEDED: Final = ("TARGETID", *VI_COLUMNS[10:])
_UNKNOWN: Final = "-1"
"""What prospect writes where a number, a version or the quality is not known."""
_VERSIONS: Final = ("Spec_version", "Redrock_version", "Template_version")
_LENGTHS: Final = {
    **dict.fromkeys(_VERSIONS, 16),
    **dict.fromkeys(("Redrock_spectype", "VI_scanner", "VI_issue", "VI_spectype"), 10),
    "VI_comment": LONGEST_COMMENT,
}
"""The columns that are texts, and how many characters prospect reads."""
_ASCII: Final = str.maketrans(
    {
        **{",": ";", "Å": "Angstrom", "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta"},
        **{"λ": "lambda", "−": "-", "–": "-", "’": "'"},
    }
)


@dataclass(frozen=True)
class ViTable:
    """The rows of a VI file.

    Attributes
    ----------
    columns : tuple of str
        Those of `VI_COLUMNS` that it has, in their order.
    rows : tuple of mapping
        The text of each column.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]

    @staticmethod
    def of(labels: Iterable[Label]) -> "ViTable":
        """Return the labels that have a quality, a comment, an issue or a redshift.

        Columns about which nothing is known are left out, as prospect does; so is the interest,
        for which it has no column.
        """
        rows = [_row(label) for label in labels if _is_inspected(label)]
        known = [
            name
            for name in VI_COLUMNS
            if name in _NEEDED or any(row[name] not in ("", _UNKNOWN) for row in rows)
        ]
        return ViTable(tuple(known), tuple({name: row[name] for name in known} for row in rows))

    def labels(self, scanner: str = "") -> list[Label]:
        """Return the labels.

        Parameters
        ----------
        scanner : str
            Whose the rows are that name no scanner.

        Raises
        ------
        InputError
            Names the row, the value and the remedy.
        """
        labels: list[Label] = []
        for number, row in enumerate(self.rows, start=1):
            try:
                labels.append(_label(row, scanner))
            except InputError as error:
                raise InputError(f"row {number}: {error}") from error
        return labels


@dataclass(frozen=True)
class MergedLabel:
    """What several scanners say about a target together.

    Attributes
    ----------
    targetid : int
    best_z : float
        The mean of their redshifts, or redrock's where they give none; that of the first scanner
        where they differ. NaN where there is none.
    best_quality : float
        The mean; `UNDECIDED` where they differ by more than 1, NaN where there is none.
    best_spectype : str
        Redrock's where they give none; that of the first scanner where they differ.
    issues, comments : str
        All letters, and all comments that differ.
    number : int
        How many have looked at it.
    conflicts : tuple of str
        What they differ in, for a person to decide; empty where they agree.
    spectrum : LabelledSpectrum
        That of the first.
    """

    targetid: int
    best_z: float
    best_quality: float
    best_spectype: str
    issues: str
    comments: str
    number: int
    conflicts: tuple[str, ...]
    spectrum: LabelledSpectrum


def read_vi(path: str | os.PathLike[str]) -> ViTable:
    """Read a VI file.

    Raises
    ------
    InputError
        Where it cannot be read or is none: names the file, the line, the value and the remedy.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a VI file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error

    lines = _fields(text, path)
    _, header = next(lines, (1, [""]))
    unknown = [name for name in header if name not in VI_COLUMNS]
    missing = [name for name in _NEEDED if name not in header]
    if unknown or missing or len(set(header)) < len(header):
        raise InputError(
            f"{path}, line 1: {','.join(header)!r:.200} are not the columns of a VI file; give "
            f"each of {', '.join(_NEEDED)} once, and others of prospect's only"
        )

    rows: list[dict[str, str]] = []
    for line, fields in lines:
        where = f"{path}, line {line}"
        if len(fields) != len(header):
            raise InputError(
                f"{where} has {len(fields)} fields, not {len(header)} as its header; write commas "
                "in comments as semicolons"
            )
        found = dict(zip(header, fields, strict=True))
        row = {name: found[name] for name in VI_COLUMNS if name in found}
        row |= {name: unguarded(row[name]) for name in _LENGTHS if name in row}
        try:
            _label(row, scanner="any")
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        rows.append(row)
    return ViTable(tuple(name for name in VI_COLUMNS if name in header), tuple(rows))


def format_vi(table: ViTable) -> bytes:
    """Return the content of a VI file."""
    lines = [",".join(table.columns)]
    for row in table.rows:
        texts = {name: guarded(_ascii(row[name])) for name in table.columns if name in _LENGTHS}
        fields = [(dict(row) | texts)[name].replace('"', '""') for name in table.columns]
        lines.append(",".join(fields))
    return "".join(f"{line}\n" for line in lines).encode("ascii", "replace")


def write_vi(path: str | os.PathLike[str], table: ViTable, overwrite: bool = False) -> None:
    """Write a VI file, completely or not at all.

    Raises
    ------
    InputError
        Where it cannot be written, or exists and may not be overwritten.
    """
    check_output(path, overwrite)
    write_atomically(Path(path), format_vi(table), overwrite)


def merge_labels(labels: Iterable[Label]) -> list[MergedLabel]:
    """Merge the labels of several scanners by DESI's rules, in the order of the TARGETIDs.

    Of several labels of one scanner for a target the last one counts.
    """
    of_target: dict[int, dict[str, Label]] = {}
    for label in labels:
        if _is_inspected(label):
            of_target.setdefault(label.targetid, {})[label.scanner] = label
    return [_merged(tuple(of_target[targetid].values())) for targetid in sorted(of_target)]


def format_merged(merged: Iterable[MergedLabel]) -> bytes:
    """Return the content of a merged file: CSV with `MERGED_COLUMNS`."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(MERGED_COLUMNS)
    for each in merged:
        spectrum = each.spectrum
        writer.writerow(
            [
                each.targetid,
                _fixed(spectrum.redrock_z, 4, unknown=""),
                _fixed(each.best_z, 4, unknown=""),
                "" if math.isnan(each.best_quality) else f"{each.best_quality:g}",
                guarded(spectrum.redrock_spectype),
                guarded(each.best_spectype),
                each.issues,
                guarded(_ascii(each.comments)),
                "none",
                each.number,
                _fixed(spectrum.redrock_deltachi2, 1, unknown=""),
                spectrum.tileid,
            ]
        )
    return content.getvalue().encode("ascii", "replace")


def _fields(text: str, path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that is not empty, and its fields."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    width = len(lines[0].split(","))
    if all(_is_prospects(line, width) for line in lines if line):
        for number, line in enumerate(lines, start=1):
            if line:
                yield number, line.replace('""', '"').split(",")
        return

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            if fields:
                yield reader.line_num, fields
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: {error}; save it as CSV with commas"
        ) from error


def _is_prospects(line: str, width: int) -> bool:
    """Return whether a line has this many fields, all of whose quotes are doubled."""
    fields = line.split(",")
    return len(fields) == width and all('"' not in each.replace('""', "") for each in fields)


def _is_inspected(label: Label) -> bool:
    return not label.fields.keys().isdisjoint({"vi_quality", "comment", "issues", "z"})


def _row(label: Label) -> dict[str, str]:
    spectrum = label.spectrum
    return {
        "TARGETID": str(label.targetid),
        "EXPID": str(spectrum.expid),
        "NIGHT": str(spectrum.night),
        "TILEID": str(spectrum.tileid),
        "Spec_version": spectrum.spec_version or _UNKNOWN,
        "Redrock_version": spectrum.redrock_version or _UNKNOWN,
        "Template_version": spectrum.template_version or _UNKNOWN,
        "Redrock_spectype": spectrum.redrock_spectype,
        "Redrock_z": _fixed(spectrum.redrock_z, 4, _UNKNOWN),
        "Redrock_deltachi2": _fixed(spectrum.redrock_deltachi2, 1, _UNKNOWN),
        "VI_scanner": label.scanner,
        "VI_quality": _UNKNOWN if label.vi_quality is None else str(label.vi_quality),
        "VI_issue": label.issues,
        "VI_z": "" if label.z is None else _fixed(label.z, 4, ""),
        "VI_spectype": label.spectype,
        "VI_comment": _ascii(label.comment)[:LONGEST_COMMENT],
    }


def _fixed(value: float, digits: int, unknown: str) -> str:
    """Return a number with so many decimals, a half rounded as JavaScript's toFixed does.

    Examples
    --------
    >>> _fixed(0.03125, 4, "-1"), f"{0.03125:.4f}"
    ('0.0313', '0.0312')
    """
    if not math.isfinite(value):
        return unknown
    # Adding 0 makes −0 positive.
    return str(Decimal(value + 0.0).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def _label(row: Mapping[str, str], scanner: str) -> Label:
    said = {
        "vi_quality": _whole(row, "VI_quality"),
        "issues": _text(row, "VI_issue"),
        "z": _real(row, "VI_z"),
        "spectype": _text(row, "VI_spectype"),
        "comment": _text(row, "VI_comment"),
    }
    name = _text(row, "VI_scanner") or scanner
    if not name:
        raise InputError("VI_scanner is empty; say whose labels these are, as --scanner ABC")
    targetid = _whole(row, "TARGETID")
    if targetid is None and row["TARGETID"].strip() != _UNKNOWN:
        raise InputError("TARGETID is empty; give the number")

    return Label(
        -1 if targetid is None else check_targetid(targetid),
        check_scanner(name),
        **check_fields(said),
        spectrum=_labelled_spectrum(row),
    )


def _labelled_spectrum(row: Mapping[str, str]) -> LabelledSpectrum:
    def number(name: str) -> int:
        found = _whole(row, name)
        if found is not None and not 0 <= found < 2**31:
            raise InputError(f"{name} {found} is no number of DESI's; correct it")
        return -1 if found is None else found

    def version(name: str) -> str:
        text = _text(row, name)
        return "" if text == _UNKNOWN else text

    z, deltachi2 = _real(row, "Redrock_z"), _real(row, "Redrock_deltachi2")
    return LabelledSpectrum(
        night=number("NIGHT"),
        tileid=number("TILEID"),
        expid=number("EXPID"),
        spec_version=version("Spec_version"),
        redrock_version=version("Redrock_version"),
        template_version=version("Template_version"),
        redrock_spectype=_text(row, "Redrock_spectype"),
        redrock_z=z if z is not None and -1 < z < math.inf else math.nan,
        redrock_deltachi2=math.nan if deltachi2 is None else deltachi2,
    )


def _whole(row: Mapping[str, str], name: str) -> int | None:
    """Return a whole number; None where it is not known."""
    text = row.get(name, "").strip()
    if text in ("", "--", _UNKNOWN):
        return None
    if not re.fullmatch(r"-?[0-9]{1,20}", text):
        raise InputError(f"{name} {text!r:.60} is no whole number; correct it")
    return int(text)


def _real(row: Mapping[str, str], name: str) -> float | None:
    """Return a number; None where it is not known."""
    text = row.get(name, "").strip()
    if text in ("", "--", _UNKNOWN):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{name} {text!r:.60} is no number; correct it") from error


def _text(row: Mapping[str, str], name: str) -> str:
    """Return a text as long as prospect reads it; empty where it is ``--``, as in old files."""
    text = "".join(each if each.isprintable() else " " for each in row.get(name, "")).strip()
    return "" if text == "--" else text[: _LENGTHS[name]].strip()


def _ascii(text: str) -> str:
    """Return a text as prospect keeps it: in ASCII, without commas."""
    if text.isascii() and "," not in text:
        return text
    decomposed = unicodedata.normalize("NFKD", text.translate(_ASCII))
    kept = "".join(each for each in decomposed if not unicodedata.combining(each))
    return kept.translate(_ASCII).encode("ascii", "replace").decode()


def _merged(labels: Sequence[Label]) -> MergedLabel:
    redshifts = [_best_z(label) for label in labels]
    known = [z for z in redshifts if not math.isnan(z)]
    spread = (max(known) - min(known)) / (1 + min(known)) if known else 0.0
    qualities = [label.vi_quality for label in labels if label.vi_quality is not None]
    between = max(qualities) - min(qualities) if qualities else 0
    spectypes = [label.spectype or label.spectrum.redrock_spectype for label in labels]
    spectypes = list(dict.fromkeys(each for each in spectypes if each))

    conflicts: list[str] = []
    if between >= 2:
        conflicts.append(f"qualities {_listed(map(str, qualities))}")
    if spread >= SAME_Z:
        conflicts.append(f"redshifts {_listed(f'{z:.4f}' for z in known)}")
    if len(spectypes) > 1:
        conflicts.append(f"spectypes {_listed(spectypes)}")

    mean_z = sum(known) / len(known) if known else math.nan
    mean_quality = sum(qualities) / len(qualities) if qualities else math.nan
    comments = dict.fromkeys(label.comment for label in labels if label.comment)
    return MergedLabel(
        targetid=labels[0].targetid,
        best_z=mean_z if spread < SAME_Z else known[0],
        best_quality=UNDECIDED if between > 1 else mean_quality,
        best_spectype=spectypes[0] if spectypes else "",
        issues="".join(letter for letter in ISSUES if any(letter in x.issues for x in labels)),
        comments=" ".join(comments),
        number=len(labels),
        conflicts=tuple(conflicts),
        spectrum=labels[0].spectrum,
    )


def _best_z(label: Label) -> float:
    return label.spectrum.redrock_z if label.z is None else label.z


def _listed(values: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(values))
