"""Authentication: bearer tokens from a file; without a file, requests from this machine only."""

import hashlib
import hmac
import ipaddress
import logging
import os
from pathlib import Path

from ..settings import SettingsError
from .errors import Problem

_MAX_TOKENS = 2
_log = logging.getLogger("service")


class Authentication:
    """Accept a request, or raise a Problem with status 401.

    Parameters
    ----------
    tokens_file : Path or None
        One or two tokens, one a line. Read again whenever the file changes; while a changed file
        cannot be used, all requests are rejected.
    allow_anonymous : bool
        Without tokens, also accept requests from other machines.

    Raises
    ------
    SettingsError
        If the file cannot be used at the start.
    """

    def __init__(self, tokens_file: Path | None, allow_anonymous: bool) -> None:
        self._file = tokens_file
        self._allow_anonymous = allow_anonymous
        self._digests: list[bytes] = []
        self._version: tuple[int, ...] | None = None
        if tokens_file is not None:
            self._version = _version(tokens_file)
            self._digests = _read(tokens_file)

    def check(self, authorization: str | None, local_address: str | None) -> None:
        """Check the header Authorization and the local address of the connection.

        Parameters
        ----------
        authorization : str or None
        local_address : str or None
            None for a connection that has none, such as a Unix socket.
        """
        if self._file is not None:
            self._reload(self._file)
            self._check_token(authorization)
        elif not self._allow_anonymous and not _is_loopback(local_address):
            raise _unauthorized(
                f"this request arrived at {local_address}, which other machines can reach, and no "
                "tokens are set; set OUTCROP_TOKENS_FILE on the server, or "
                "OUTCROP_ALLOW_ANONYMOUS=1 where the network rejects requests from outside"
            )

    def _check_token(self, authorization: str | None) -> None:
        scheme, _, token = (authorization or "").partition(" ")
        digest = _digest(token.strip())

        # Every comparison is made, each on digests of one length, so that the time taken
        # depends on no token.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            what = "is missing" if authorization is None else "holds no valid token"
            raise _unauthorized(
                f"the header Authorization {what}; send 'Authorization: Bearer TOKEN'"
            )

    def _reload(self, file: Path) -> None:
        version = _version(file)
        if version == self._version:
            return
        self._version = version
        try:
            self._digests = _read(file)
            _log.info("tokens were read again", extra={"fields": {"tokens": len(self._digests)}})
        except SettingsError as error:
            self._digests = []
            _log.error("all requests are rejected: %s", error)


def _unauthorized(message: str) -> Problem:
    return Problem(401, message, reason="unauthorized", headers={"WWW-Authenticate": "Bearer"})


def _version(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(file: Path) -> list[bytes]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise SettingsError(f"OUTCROP_TOKENS_FILE: {file} cannot be read: {reason}") from error
    tokens = [line.strip() for line in lines if line.strip()]
    if not 1 <= len(tokens) <= _MAX_TOKENS:
        raise SettingsError(
            f"OUTCROP_TOKENS_FILE: {file} holds {len(tokens)} tokens; "
            "write one, or two while rotating, one a line"
        )
    return [_digest(token) for token in tokens]


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
