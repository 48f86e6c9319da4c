"""Access: who may look, and who labels.

On the loopback address everyone on this machine may, as the scanner that was named at the start.
With tokens a scanner logs in with a name and a token, and a cookie stands for both: for half a day,
until the scanner logs out, the token is taken out of its file, or the process ends.

A web page elsewhere can make a browser send requests here. It is refused by the header Host, which
must name this machine (DNS rebinding), and cannot write: for that it would need the CSRF token of
the session, which it cannot read, and the header Origin must be that of this page.
"""

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outcrop._guard import OwnNames, TokenFile, is_own_origin

from .refusal import Refusal
from .throttle import Throttle

COOKIE: Final = "outcrop_review"
SESSION_SECONDS: Final = 12 * 3600
_MOST_SESSIONS: Final = 1000
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
    token : bytes
        Digest of the token that was given; empty where there are no tokens.
    expires : float
        Seconds of the epoch.
    """

    scanner: str
    csrf: str
    token: bytes = b""
    expires: float = math.inf


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
        self._anyone = Session(scanner, secrets.token_hex())
        self._tokens: TokenFile | None = None
        if tokens_file is not None:
            self._tokens = TokenFile(tokens_file, "--tokens", "review", _LEAST_LETTERS)
        self._names = OwnNames(allowed_hosts)
        self._throttle = Throttle()
        # By the digest of the cookie, the oldest first: looking one up says nothing about others.
        self._sessions: dict[bytes, Session] = {}

    @property
    def with_tokens(self) -> bool:
        """Whether scanners log in."""
        return self._tokens is not None

    def check_host(self, host: str) -> None:
        """Check the header Host; Refusal where it names another machine."""
        if host not in self._names:
            raise Refusal(
                403,
                f"Host is {host[:_QUOTED]!r}, which is not this machine; call the review by its "
                "IP address, or start it with --allowed-host",
            )

    def session(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the session of a request; None where the scanner has to log in."""
        if self._tokens is None:
            return self._anyone
        session = self._sessions.get(_digest(cookies.get(COOKIE, "")))
        if session is None or session.expires < time.time() or session.token not in self._tokens:
            return None
        return session

    def log_in(self, scanner: str, token: str, address: str) -> str:
        """Begin a session; return its cookie.

        Raises
        ------
        Refusal
            Where it is no token of this review, or the address has given too many wrong ones.
        """
        wait = self._throttle.wait(address)
        if wait:
            raise Refusal(429, f"too many wrong tokens; wait {math.ceil(wait)} s, then try again")
        digest = None if self._tokens is None else self._tokens.digest(token)
        if digest is None:
            self._throttle.wrong(address)
            raise Refusal(401, "that is no token of this review; ask the one who started it")
        self._throttle.right(address)

        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        cookie = secrets.token_hex()
        expires = time.time() + SESSION_SECONDS
        self._sessions[_digest(cookie)] = Session(scanner, secrets.token_hex(), digest, expires)
        return cookie

    def log_out(self, cookies: Mapping[str, str]) -> None:
        """End the session of a request."""
        self._sessions.pop(_digest(cookies.get(COOKIE, "")), None)

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Check that a write comes from this page; Refusal where it is another site's."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if not is_own_origin(origin, host):
            raise Refusal(
                403,
                f"Origin is {str(origin)[:_QUOTED]!r}, Host {host[:_QUOTED]!r}: another site's "
                "page",
            )

    def check_csrf(self, session: Session, headers: Mapping[str, str]) -> None:
        """Check the CSRF token of a write; Refusal where it is not that of the session."""
        if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
            raise Refusal(403, "the header X-CSRF-Token is not that of /api/night; load it again")


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
