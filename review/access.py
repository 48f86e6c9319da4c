"""Access: who may look, and who labels.

On the loopback address everyone on this machine may, as the scanner that was named at the start.
With tokens a scanner logs in with a name and a token, and a signed cookie keeps both for half a
day; it ends with the process, which alone knows the key.

A web page elsewhere can make a browser send requests here. It is refused by the header Host, which
must name this machine (DNS rebinding), and cannot write: for that it would need the CSRF token of
the session, which it cannot read, and the header Origin must be that of this page.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outcrop import InputError

from .refusal import Refusal

COOKIE: Final = "outcrop_review"
SESSION_SECONDS: Final = 12 * 3600
_MAX_TOKENS: Final = 2
_LEAST_LETTERS: Final = 16
_QUOTED: Final = 200


@dataclass(frozen=True)
class Session:
    """A scanner at a browser.

    Attributes
    ----------
    scanner : str
    csrf : str
        Sent with every write, in the header X-CSRF-Token.
    """

    scanner: str
    csrf: str


class Access:
    """The checks of a request.

    Parameters
    ----------
    scanner : str
        Of everyone, where there are no tokens.
    tokens_file : Path, optional
        One or two tokens, one a line, of at least 16 letters.
    allowed_hosts : iterable of str
        Names in the header Host, besides localhost, the machine's own and every IP address.

    Raises
    ------
    InputError
        If the file of tokens cannot be used.
    """

    def __init__(
        self, scanner: str, tokens_file: Path | None = None, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self._scanner = scanner
        self._tokens = None if tokens_file is None else _read_tokens(tokens_file)
        names = (one.lower() for one in allowed_hosts)
        self._allowed = {"localhost", socket.gethostname().lower(), *names}
        self._key = os.urandom(32)

    @property
    def with_tokens(self) -> bool:
        """Whether scanners log in."""
        return self._tokens is not None

    def check_host(self, host: str) -> None:
        """Check the header Host; Refusal where it names another machine."""
        name = _name(host.lower())
        if not name or (name not in self._allowed and not _is_address(name)):
            raise Refusal(
                403,
                f"Host is {host[:_QUOTED]!r}, which is not this machine; call the review by its "
                "IP address, or start it with --allowed-host",
            )

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the session of a request; None where the scanner has to log in."""
        if not self.with_tokens:
            return Session(self._scanner, self._sign("csrf"))
        content, _, signature = cookies.get(COOKIE, "").rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(content).encode()):
            return None
        expires, _, written = content.split(".")
        if int(expires) < time.time():
            return None
        return Session(bytes.fromhex(written).decode(), self._sign(f"csrf {content}"))

    def check_token(self, token: str) -> None:
        """Check the token of a login; Refusal where it is none."""
        # Every comparison is made, each on digests of one length, so that the time taken
        # depends on no token.
        found = [hmac.compare_digest(_digest(token), known) for known in self._tokens or ()]
        if not any(found):
            raise Refusal(401, "that is no token of this review; ask the one who started it")

    def cookie(self, scanner: str) -> str:
        """Return the value of the cookie of a scanner who has logged in."""
        expires = int(time.time()) + SESSION_SECONDS
        content = f"{expires}.{secrets.token_hex(8)}.{scanner.encode().hex()}"
        return f"{content}.{self._sign(content)}"

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Check that a write comes from this page; Refusal where it is another site's."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if origin is not None and origin.lower().partition("://")[2] != host.lower():
            raise Refusal(
                403, f"Origin is {origin[:_QUOTED]!r}, Host {host[:_QUOTED]!r}: another site's page"
            )

    def check_csrf(self, session: Session, headers: Mapping[str, str]) -> None:
        """Check the CSRF token of a write; Refusal where it is not that of the session."""
        if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
            raise Refusal(403, "the header X-CSRF-Token is not that of /api/night; load it again")

    def _sign(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


def is_loopback(host: str) -> bool:
    """Return whether an address, or localhost, is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_tokens(file: Path) -> list[bytes]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--tokens: {file} cannot be read: {error}") from error
    tokens = [line.strip() for line in lines if line.strip()]
    if not 1 <= len(tokens) <= _MAX_TOKENS or min(map(len, tokens)) < _LEAST_LETTERS:
        raise InputError(
            f"--tokens: {file} must hold one token, or two while rotating, one a line, of at least "
            f"{_LEAST_LETTERS} letters; python -m deploy.tokens add makes one"
        )
    return [_digest(token) for token in tokens]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _name(host: str) -> str:
    """Return the header Host without its port, and an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
