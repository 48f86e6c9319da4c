"""Label: what a scanner says about a spectrum, and of which spectrum it is said."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from .errors import InputError
from .fingerprint import FileFingerprint

ISSUES: Final = {"R": "bad redshift", "C": "bad spectype", "S": "bad spectrum"}
"""The letters of prospect's issues, in its order."""
SPECTYPES: Final = ("STAR", "GALAXY", "QSO")
LONGEST_COMMENT: Final = 100

LABEL_COLUMNS: Final = ("TARGETID", "LABEL")
"""The columns of the label file that `python -m explanation` and the service read."""

# Where a text, or what follows a semicolon where that separates columns, is a formula.
_AT_START: Final = r"""(?=['"\s]*[=+\-@])"""
_AFTER_SEMICOLON: Final = r"""(?=['"\s]*([=@]|[+-][^;]*[|(]))"""
_FORMULA: Final = re.compile(f"^{_AT_START}|(?<=;){_AFTER_SEMICOLON}")
_GUARDED: Final = re.compile(f"^'{_AT_START}|(?<=;)'{_AFTER_SEMICOLON}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_SCANNER: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,8}[A-Za-z0-9._-])?")
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class LabelledSpectrum:
    """Which spectrum a label is of, and what redrock says of it.

    Attributes
    ----------
    night, tileid, expid : int
        −1 where unknown.
    coadd : FileFingerprint or None
        Of the coadd that was looked at.
    spec_version, redrock_version, template_version : str
        Of the reduction, of redrock and of its templates; empty where unknown.
    redrock_spectype : str
    redrock_z, redrock_deltachi2 : float
        NaN where unknown.
    """

    night: int = -1
    tileid: int = -1
    expid: int = -1
    coadd: FileFingerprint | None = None
    spec_version: str = ""
    redrock_version: str = ""
    template_version: str = ""
    redrock_spectype: str = ""
    redrock_z: float = math.nan
    redrock_deltachi2: float = math.nan


@dataclass(frozen=True)
class Label:
    """What a scanner says about a target.

    Attributes
    ----------
    targetid : int
    scanner : str
        Who says it: 1 to 10 ASCII letters, digits, spaces, dots, ``_`` and ``-``.
    interest : int or None
        0 to 5, 5 the most interesting; None where it is not said.
    vi_quality : int or None
        0 to 4, as DESI's visual inspection has it: 4 confident, 3 probable, 2 possible, 1 unlikely,
        0 nothing there.
    issues : str
        Letters of `ISSUES`.
    z : float or None
        The best redshift.
    spectype : str
        One of `SPECTYPES`, or empty.
    comment : str
        Up to 100 printable characters.
    time : datetime or None
        Of the last change, UTC.
    spectrum : LabelledSpectrum
        That of the last change.
    """

    targetid: int
    scanner: str
    interest: int | None = None
    vi_quality: int | None = None
    issues: str = ""
    z: float | None = None
    spectype: str = ""
    comment: str = ""
    time: datetime | None = None
    spectrum: LabelledSpectrum = field(default_factory=LabelledSpectrum)

    @property
    def fields(self) -> dict[str, Any]:
        """What is said: those of `FIELDS` that have a value, by their names."""
        values = {name: getattr(self, name) for name in FIELDS}
        return {name: value for name, value in values.items() if value not in (None, "")}

    @property
    def summary(self) -> str:
        """What the spectrum is: the comment, else SPECTYPE, the issues or the interest."""
        issues = ", ".join(ISSUES[letter] for letter in self.issues)
        interest = "" if self.interest is None else f"interest {self.interest}"
        return self.comment or self.spectype or issues or interest


def format_labels(labels: Iterable[Label]) -> bytes:
    """Return the content of a label file: of each target the last summary that is not empty."""
    oldest = datetime.min.replace(tzinfo=UTC)
    of_target = {
        label.targetid: guarded(label.summary)[:LONGEST_COMMENT]
        for label in sorted(labels, key=lambda label: label.time or oldest)
        if label.summary
    }
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerows([LABEL_COLUMNS, *of_target.items()])
    return content.getvalue().encode()


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, with an apostrophe where it would.

    Examples
    --------
    >>> guarded("=1+1"), guarded("-1.5"), unguarded(guarded("@x"))
    ("'=1+1", '-1.5', '@x')
    """
    return text if _NUMBER.fullmatch(text) else _FORMULA.sub("'", text)


def unguarded(text: str) -> str:
    """Return the text that was `guarded`."""
    original = _GUARDED.sub("", text)
    return original if guarded(original) == text else text


def check_scanner(scanner: str) -> str:
    """Return the name of a scanner; InputError where it is none."""
    if not _SCANNER.fullmatch(scanner):
        raise InputError(
            f"scanner {scanner!r:.60} is no name; write 1 to 10 ASCII letters, digits, spaces, "
            "dots, _ or -, as a 3-letter acronym"
        )
    return scanner


def check_targetid(targetid: int) -> int:
    """Return a TARGETID; InputError where it has more than 64 bits."""
    if not -_LARGEST - 1 <= targetid <= _LARGEST:
        raise InputError(f"TARGETID {targetid} has more than 64 bits; check the number")
    return targetid


def check_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a label as they are kept.

    Parameters
    ----------
    fields : mapping
        Some of `FIELDS`. None, or an empty text, takes back what was said.

    Raises
    ------
    InputError
        Names the field, its value and the remedy.

    Examples
    --------
    >>> check_fields({"interest": 3, "issues": "SR", "comment": None})
    {'interest': 3, 'issues': 'RS', 'comment': ''}
    """
    for name in fields:
        if name not in FIELDS:
            raise InputError(f"a label has no {name!r:.60}; name some of {', '.join(FIELDS)}")
    return {name: FIELDS[name](name, value) for name, value in fields.items()}


def _whole(largest: int) -> Callable[[str, Any], int | None]:
    def check(name: str, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
            raise InputError(
                f"{name} {value!r:.60} is no whole number from 0 to {largest}; give one, or none"
            )
        return value

    return check


def _issues(name: str, value: Any) -> str:
    letters = value or ""
    if not isinstance(letters, str) or set(letters) - set(ISSUES) or len(letters) > len(ISSUES):
        raise InputError(f"{name} {value!r:.60} has other letters than R, C and S; leave them out")
    return "".join(letter for letter in ISSUES if letter in letters)


def _redshift(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 < value < 10:
        raise InputError(f"{name} {value!r:.60} is no redshift above -1 and below 10; correct it")
    return float(value)


def _spectype(name: str, value: Any) -> str:
    if value not in (None, "", *SPECTYPES):
        raise InputError(f"{name} {value!r:.60} is unknown; give {', '.join(SPECTYPES)} or none")
    return value or ""


def _comment(name: str, value: Any) -> str:
    text = "" if value is None else value
    if not isinstance(text, str) or len(text) > LONGEST_COMMENT or not text.isprintable():
        raise InputError(
            f"{name} {value!r:.60} is not text of up to {LONGEST_COMMENT} printable characters; "
            "shorten it, in one line"
        )
    return text.strip()


FIELDS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "interest": _whole(5),
    "vi_quality": _whole(4),
    "issues": _issues,
    "z": _redshift,
    "spectype": _spectype,
    "comment": _comment,
}
"""What can be said of a spectrum, and the check of each."""
