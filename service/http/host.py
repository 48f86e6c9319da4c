"""Host: the names by which a service without tokens may be called.

A browser on this machine can reach a service on its loopback address. A web page has it send
requests there, and reads the responses if the page's own name is made to resolve to that address
(DNS rebinding). The browser gives the page away: by the name in the header Host, which is not the
service's, or by the page's address in the header Origin, which is not the one that is called.
"""

import ipaddress
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers

from .errors import Problem

_LOCALHOST = "localhost"


class HostCheck:
    """Accept a request, or raise a Problem with status 403.

    Parameters
    ----------
    allowed : iterable of str
        Names in lower case, besides localhost, the machine's own and every IP address, which no
        page can have made to resolve to another.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = {_LOCALHOST, socket.gethostname().lower(), *allowed}

    def check(self, headers: Headers) -> None:
        """Check the headers Host and Origin; browsers send both, other clients need neither."""
        host = headers.get("host", "").lower()
        name = _name(host)
        if name and name not in self._allowed and not _is_address(name):
            raise _forbidden(
                f"Host is {host[:200]!r}, and no tokens are set; call the service by its IP "
                f"address, or set OUTCROP_ALLOWED_HOSTS={name[:200]} on the server"
            )

        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host:
            raise _forbidden(
                f"Origin is {origin[:200]!r}, Host {host[:200]!r}: this is a request of another "
                "site's web page, and no tokens are set; send it without a browser, or set "
                "OUTCROP_TOKENS_FILE on the server"
            )


def _forbidden(message: str) -> Problem:
    return Problem(403, message, reason="forbidden")


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
