"""Address: where a file of a release is, as ``https://`` or ``s3://``."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ..errors import InputError

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NAME: Final = re.compile(r"[A-Za-z0-9_+=@,~%-][A-Za-z0-9._+=@,~%-]{0,199}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST: Final = 1000


@dataclass(frozen=True)
class Address:
    """The address of a file.

    Attributes
    ----------
    text : str
        As it was given, and as score tables name it.
    scheme : str
        ``https``, ``s3``, or ``http`` of this machine.
    host : str
        With its port; of ``s3`` the bucket.
    key : str
        The path without its first ``/``.
    """

    text: str
    scheme: str
    host: str
    key: str

    @property
    def name(self) -> str:
        """Of the file, without its folder."""
        return self.key.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """Address of the folder, with a final ``/``."""
        return self.text.removesuffix(self.name)

    @staticmethod
    def parse(text: str) -> "Address":
        """Return an address that may be fetched; InputError where it may not."""
        if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
            raise InputError(
                f"the address {text[:_LONGEST]!r} is longer than {_LONGEST} characters or not "
                "ASCII; write other characters as %XX"
            )
        parts = _split(text)
        _check_server(parts, text)
        if parts.query or parts.fragment or "?" in text:
            raise InputError(
                f"{text} has a query or a fragment (?, #), which would be kept in score tables; "
                "give the address of the file alone"
            )

        key = parts.path.removeprefix("/")
        name = key.rpartition("/")[2]
        if not _NAME.fullmatch(name) or {".", "..", ""} & set(key.split("/")):
            raise InputError(f"{text} does not name a file, as https://host/folder/coadd-1.fits")
        return Address(text, parts.scheme, parts.netloc, key)


def is_remote(path: str) -> bool:
    """Return whether a path is an address, of any scheme.

    Examples
    --------
    >>> from outcrop._remote.address import is_remote
    >>> is_remote("s3://desidata/dr1/a.fits"), is_remote("dr1/a.fits")
    (True, False)
    """
    return _SCHEME.match(path) is not None


def is_loopback(host: str | None) -> bool:
    """Return whether a host, without its port, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise InputError(f"{text} is not an address: {error}") from error
    return parts


def _check_server(parts: SplitResult, text: str) -> None:
    if "@" in parts.netloc:
        raise InputError(
            "an address has a user or a password, which would be kept in score tables; "
            "only public files are fetched"
        )
    if parts.scheme not in ("https", "s3", "http"):
        raise InputError(f"{text} is not https:// or s3://; copy the file and name its path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InputError(
            f"{text} is not encrypted, so its bytes could be anybody's; use https:// "
            "(http:// is for this machine alone)"
        )
    if parts.scheme == "s3" and not _BUCKET.fullmatch(parts.netloc):
        raise InputError(f"{text} does not name a bucket, as s3://desidata/dr1/coadd-1.fits")
    if not parts.hostname:
        raise InputError(f"{text} does not name a host")
