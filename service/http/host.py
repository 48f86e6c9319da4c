"""Host: a service without tokens answers no request that a web page made a browser send."""

from collections.abc import Iterable

from starlette.datastructures import Headers

from outcrop._guard import OwnNames, is_own_origin, name_of

from .errors import Problem


class HostCheck:
    """Accept a request, or raise a Problem with status 403.

    Parameters
    ----------
    allowed : iterable of str
        Names, besides those that every server of this machine has.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._names = OwnNames(allowed)

    def check(self, headers: Headers) -> None:
        """Check the headers Host and Origin; browsers send both, other clients need neither."""
        host = headers.get("host", "")
        name = name_of(host)
        if name and host not in self._names:
            raise _forbidden(
                f"Host is {host.lower()[:200]!r}, and no tokens are set; call the service by its "
                f"IP address, or set OUTCROP_ALLOWED_HOSTS={name[:200]} on the server"
            )

        origin = headers.get("origin")
        if not is_own_origin(origin, host):
            raise _forbidden(
                f"Origin is {str(origin)[:200]!r}, Host {host[:200]!r}: this is a request of "
                "another site's web page, and no tokens are set; send it without a browser, or set "
                "OUTCROP_TOKENS_FILE on the server"
            )


def _forbidden(message: str) -> Problem:
    return Problem(403, message, reason="forbidden")
