"""Authentication: bearer tokens from a file; without a file, requests from this machine only."""

from pathlib import Path

from outcrop import InputError
from outcrop._guard import TokenFile, is_loopback

from ..settings import SettingsError
from .errors import Problem


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
        self._allow_anonymous = allow_anonymous
        self._tokens: TokenFile | None = None
        if tokens_file is not None:
            try:
                self._tokens = TokenFile(tokens_file, "OUTCROP_TOKENS_FILE", "service")
            except InputError as error:
                raise SettingsError(str(error)) from error

    def check(self, authorization: str | None, local_address: str | None) -> None:
        """Check the header Authorization and the local address of the connection.

        Parameters
        ----------
        authorization : str or None
        local_address : str or None
            None for a connection that has none, such as a Unix socket.
        """
        if self._tokens is not None:
            _check_token(self._tokens, authorization)
        elif not (self._allow_anonymous or local_address is None or is_loopback(local_address)):
            raise _unauthorized(
                f"this request arrived at {local_address}, which other machines can reach, and no "
                "tokens are set; set OUTCROP_TOKENS_FILE on the server, or "
                "OUTCROP_ALLOW_ANONYMOUS=1 where the network rejects requests from outside"
            )


def _check_token(tokens: TokenFile, authorization: str | None) -> None:
    scheme, _, token = (authorization or "").partition(" ")
    known = tokens.digest(token.strip()) is not None
    if scheme.lower() != "bearer" or not known:
        what = "is missing" if authorization is None else "holds no valid token"
        raise _unauthorized(f"the header Authorization {what}; send 'Authorization: Bearer TOKEN'")


def _unauthorized(message: str) -> Problem:
    return Problem(401, message, reason="unauthorized", headers={"WWW-Authenticate": "Bearer"})
