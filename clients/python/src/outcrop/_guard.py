"""Guard: what Outcrop's servers, the service and the review, check of a request.

A browser on this machine can reach a server on its loopback address. A web page has it send
requests there, and reads the responses if the page's own name is made to resolve to that address
(DNS rebinding). The browser gives the page away: by the name in the header Host, which is not the
server's, or by the page's address in the header Origin, which is not the one that is called.
"""

import hashlib
import hmac
import ipaddress
import logging
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from .errors import InputError

_MAX_TOKENS: Final = 2


class OwnNames:
    """The names by which a server may be called.

    Parameters
    ----------
    more : iterable of str
        Besides localhost, the machine's own and every IP address, which no page can have made to
        resolve to another.

    Examples
    --------
    >>> names = OwnNames(["outcrop.svc"])
    >>> "127.0.0.1:3000" in names, "OUTCROP.svc" in names, "evil.example" in names
    (True, True, False)
    """

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._known = {"localhost", socket.gethostname().lower(), *(one.lower() for one in more)}

    def __contains__(self, host: str) -> bool:
        """Whether a header Host, with or without a port, is one of them."""
        name = name_of(host)
        return name in self._known or _is_address(name)


def name_of(host: str) -> str:
    """Return a header Host in lower case, without its port and an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_own_origin(origin: str | None, host: str) -> bool:
    """Return whether the header Origin is absent, or that of a page of this header Host."""
    return origin is None or origin.lower().partition("://")[2] == host.lower()


def is_loopback(host: str) -> bool:
    """Return whether an address, or localhost, is reached from this machine only."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class TokenFile:
    """One or two tokens, one a line, read again whenever the file changes.

    While a changed file cannot be used there is no token.

    Parameters
    ----------
    file : Path
    setting : str
        Names the file in errors.
    shortest : int, optional
        Letters of a token.
    logger : str
        Name of the logger that reports a change.

    Raises
    ------
    InputError
        If the file cannot be used at the start.
    """

    def __init__(self, file: Path, setting: str, logger: str, shortest: int = 1) -> None:
        self._file, self._setting, self._shortest = file, setting, shortest
        self._log = logging.getLogger(logger)
        self._version = _version(file)
        self._digests = self._read()

    def digest(self, token: str) -> bytes | None:
        """Return the digest of a token of the file; None where it is none."""
        self._reload()
        digest = hashlib.sha256(token.encode()).digest()
        # Every comparison is made, each on digests of one length, so that the time taken
        # depends on no token.
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        return digest if any(found) else None

    def __contains__(self, digest: bytes) -> bool:
        """Whether the token of a digest is still in the file."""
        self._reload()
        return digest in self._digests

    def _reload(self) -> None:
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version
        try:
            self._digests = self._read()
            fields = {"tokens": len(self._digests)}
            self._log.info("tokens were read again", extra={"fields": fields})
        except InputError as error:
            self._digests = []
            self._log.error("all requests are rejected: %s", error)

    def _read(self) -> list[bytes]:
        where = f"{self._setting}: {self._file}"
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            known = isinstance(error, OSError) and error.errno
            reason = os.strerror(known) if known else error
            raise InputError(f"{where} cannot be read: {reason}") from error

        tokens = [line.strip() for line in lines if line.strip()]
        if not 1 <= len(tokens) <= _MAX_TOKENS:
            raise InputError(
                f"{where} holds {len(tokens)} tokens; write one, or two while rotating, one a line"
            )
        if min(map(len, tokens)) < self._shortest:
            raise InputError(
                f"{where} has a token of less than {self._shortest} letters; "
                "python -m deploy.tokens add makes one"
            )
        return [hashlib.sha256(token.encode()).digest() for token in tokens]


def _version(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
