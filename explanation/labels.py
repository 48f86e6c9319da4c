"""Labels: what people have said that spectra are, from a CSV file or as scanners say it now."""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from outcrop import InputError
from outcrop.label import Label

from .interest import INTERESTING

HEADER: Final = ("TARGETID", "LABEL")
_LARGEST = 2**63 - 1
_LONGEST = 100
_REMEDY = "write two columns, TARGETID,LABEL, separated by a comma, with this header"


def read_labels(path: str | os.PathLike[str]) -> dict[int, str]:
    """Read a label file: CSV in UTF-8 with the columns TARGETID and LABEL, named in line 1.

    Empty lines, and spaces around a value, do not count.

    Returns
    -------
    dict of int to str
        Label of each TARGETID.

    Raises
    ------
    InputError
        Names the file, the line, its content and the remedy. A TARGETID must be a whole number of
        64 bits, with one label; a label has 1 to 100 printable characters.
    """
    labels: dict[int, str] = {}
    for line, fields in _rows(Path(path)):
        where = f"{path}, line {line}"
        if len(fields) != len(HEADER):
            raise InputError(f"{where}: {','.join(fields)!r} has {len(fields)} fields; {_REMEDY}")
        targetid, label = _targetid(fields[0], where), _label(fields[1], where)

        earlier = labels.setdefault(targetid, label)
        if earlier != label:
            raise InputError(
                f"{where}: TARGETID {targetid} is labelled {label!r}, and {earlier!r} above; "
                "leave one of them"
            )
    return labels


def kind_of(label: Label) -> str:
    """Return what a scanner says that a spectrum is: the comment, else the class or the issues."""
    return replace(label, interest=None).summary


def verdict_of(label: Label) -> str:
    """Return whether a scanner finds a spectrum interesting; empty where they do not say."""
    if label.interest is None:
        return ""
    return "interesting" if label.interest >= INTERESTING else "not interesting"


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line below the header and its fields."""
    try:
        # Spreadsheets begin UTF-8 with a mark.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a label file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error

    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [field.strip() for field in next(reader, [])]
        if tuple(header) != HEADER:
            raise InputError(f"{path}, line 1: {','.join(header)!r}; {_REMEDY}")
        for fields in reader:
            stripped = [field.strip() for field in fields]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}; {_REMEDY}") from error


def _targetid(text: str, where: str) -> int:
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) <= 20):
        raise InputError(f"{where}: TARGETID {text!r} is not a whole number; {_REMEDY}")
    if not -_LARGEST - 1 <= int(text) <= _LARGEST:
        raise InputError(f"{where}: TARGETID {text} has more than 64 bits; {_REMEDY}")
    return int(text)


def _label(text: str, where: str) -> str:
    if not 1 <= len(text) <= _LONGEST or not text.isprintable():
        raise InputError(
            f"{where}: label {text!r:.120}; write 1 to {_LONGEST} printable characters, or leave "
            "the line out"
        )
    return text
