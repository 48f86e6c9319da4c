"""Source: where the bytes of a remote file come from, whatever the protocol."""

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..errors import InputError, OutcropError, WireError, status_error
from .address import Address

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_TAG: Final = re.compile(r"[!-~]{1,64}")

NOT_FOUND: Final = (404, 410)
NOT_PUBLIC: Final = (401, 403)
RANGE_REFUSED: Final = 416


@dataclass(frozen=True)
class Version:
    """What tells a file from another that takes its place.

    Attributes
    ----------
    size : int
        Bytes.
    mtime : int
        Time of the last modification, ns since 1970; 0 where the server does not say.
    etag : str
        The server's name of this content; empty where it gives none.
    """

    size: int
    mtime: int
    etag: str


@dataclass(frozen=True)
class Part:
    """Some bytes of a file, and the version they are of."""

    content: bytes
    version: Version


class Source(Protocol):
    """A remote file.

    Attributes
    ----------
    address : Address
    """

    address: Address

    def get(self, start: int, stop: int) -> Part:
        """Return the bytes from `start` to `stop`, or to the end of the file; perhaps more.

        One request, which either returns all of these bytes or raises an error.

        Raises
        ------
        InputError
            Where there is no such file, it is not public, or the server does not serve ranges.
        ConnectionFailed, Timeout, StatusError
            Where the request failed; another may not.
        WireError
            Where the answer is not what was asked for.
        """
        ...

    def names(self) -> list[str]:
        """Return the names of the checksum files in the folder of the file."""
        ...


class OriginChanged(OutcropError):  # noqa: N818 (named for what happened)
    """The file was replaced while it was fetched."""


def open_source(text: str) -> Source:
    """Return the source of an address.

    Raises
    ------
    InputError
        Where the address may not be fetched, or the packages for it are missing.
    """
    address = Address.parse(text)
    try:
        if address.scheme == "s3":
            from .s3_source import S3Source

            return S3Source(address)
        from .http_source import HttpSource

        return HttpSource(address)
    except ImportError as error:
        raise InputError(
            f"{text} cannot be fetched without fsspec, aiohttp and s3fs ({error}); install them: "
            "pip install fsspec aiohttp s3fs"
        ) from error


def range_of(text: str | None, start: int, stop: int, address: str) -> tuple[int, int]:
    """Return the bytes that a Content-Range announces and those of the file.

    Raises
    ------
    WireError
        Where it is not the range from `start` to `stop`, or to the end of the file.

    Examples
    --------
    >>> from outcrop._remote.source import range_of
    >>> range_of("bytes 0-99/1000", 0, 100, "https://host/a.fits")
    (100, 1000)
    """
    found = _CONTENT_RANGE.fullmatch(text or "")
    first, last, size = map(int, found.groups()) if found else (-1, -1, -1)
    if first != start or last != min(stop, size) - 1:
        raise WireError(
            f"{address}: bytes {start}-{stop - 1} were asked for, the server sent "
            f"{(text or 'no Content-Range')[:100]!r}; take another server, or a copy of the file"
        )
    return last - first + 1, size


def tag_of(etag: Any) -> str:
    """Return an ETag as a header of FITS can hold it; empty where there is none such."""
    return etag if isinstance(etag, str) and _TAG.fullmatch(etag) else ""


def failure(address: str, status: int, reason: str, retry_after: float | None) -> OutcropError:
    """Return the error of an answer without content."""
    if status in NOT_FOUND:
        return InputError(f"{address} does not exist (status {status}); check the address")
    if status in NOT_PUBLIC:
        return InputError(
            f"{address} is not public, or does not exist (status {status}); check the address, "
            "or copy the file and name its path"
        )
    return status_error(
        status, f"{address}: {status} {reason[:100]}", retry_after=retry_after, reason=reason[:100]
    )
