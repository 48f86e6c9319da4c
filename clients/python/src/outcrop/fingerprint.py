"""File fingerprint: name, size and time of a file, to recognise that it was replaced.

The header of a score table keeps the fingerprints of its input files. The time alone is not
enough: a file that is copied with its time, as by rsync, may be newer than the table and carry
an older time.

The copy of a remote file has the fingerprint of its origin, which lies beside it.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import InputError


@dataclass(frozen=True)
class FileFingerprint:
    """Name, size and modification time of a file.

    Attributes
    ----------
    name : str
        Without its folder, so that a tree may be moved; of a remote file the address.
    size : int
        Bytes; of a remote file those of its origin, not of the smaller copy.
    mtime : int
        Time of the last modification, ns since 1970; 0 where a server does not say.
    etag : str
        A server's name of the content; empty where there is none.
    """

    name: str
    size: int
    mtime: int
    etag: str = ""

    @staticmethod
    def of(path: str | os.PathLike[str]) -> "FileFingerprint":
        """Return the fingerprint of a file as it is now; InputError where it is missing."""
        if "://" in os.fspath(path):
            raise InputError(
                f"{os.fspath(path)} is an address, not a path; outcrop.fetch copies the file"
            )
        path = Path(path)
        try:
            found = path.stat()
        except FileNotFoundError as error:
            raise InputError(f"{path} does not exist; check the name") from error
        except OSError as error:
            raise InputError(f"cannot stat {path}: {error.strerror}") from error
        origin = origin_of(path)
        if origin.exists():
            return _read(origin)
        return FileFingerprint(path.name, found.st_size, found.st_mtime_ns)


def origin_of(path: Path) -> Path:
    """Return the file that lies beside the copy of a remote file and says what it is of."""
    return path.with_name(f"{path.name}.origin.json")


def format_origin(fingerprint: FileFingerprint) -> bytes:
    """Return the content of such a file.

    Examples
    --------
    >>> from outcrop.fingerprint import FileFingerprint, format_origin
    >>> format_origin(FileFingerprint("s3://bucket/a.fits", 5760, 0, "1f"))
    b'{"name": "s3://bucket/a.fits", "size": 5760, "mtime": 0, "etag": "1f"}'
    """
    return json.dumps(asdict(fingerprint)).encode()


def _read(origin: Path) -> FileFingerprint:
    try:
        found = json.loads(origin.read_bytes())
        return FileFingerprint(
            str(found["name"]), int(found["size"]), int(found["mtime"]), str(found["etag"])
        )
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{origin} cannot be read ({error}); delete its folder") from error


def header_cards(fingerprints: Sequence[FileFingerprint]) -> Iterator[tuple[str, Any, str]]:
    """Yield keyword, value and comment of the header cards that keep these fingerprints.

    INFILnnn is the keyword that desispec uses for input files.

    Examples
    --------
    >>> from outcrop.fingerprint import FileFingerprint, header_cards
    >>> coadd = FileFingerprint("coadd-1.fits", 5760, 1616500000000000000)
    >>> [card[:2] for card in header_cards([coadd])]
    [('INFIL000', 'coadd-1.fits'), ('INSIZ000', 5760), ('INMTI000', 1616500000000000000)]
    """
    for number, fingerprint in enumerate(fingerprints):
        yield f"INFIL{number:03d}", fingerprint.name, "input file"
        yield f"INSIZ{number:03d}", fingerprint.size, "its bytes"
        yield f"INMTI{number:03d}", fingerprint.mtime, "its mtime, ns since 1970"
        if fingerprint.etag:
            yield f"INETA{number:03d}", fingerprint.etag, "its ETag"


def has_fingerprints(header: Mapping[str, Any], fingerprints: Sequence[FileFingerprint]) -> bool:
    """Return whether a header keeps exactly these fingerprints."""
    return all(header.get(keyword) == value for keyword, value, _ in header_cards(fingerprints))
