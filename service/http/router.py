"""Routes: which path is answered by what.

A page is answered at once, in the event loop. A job takes a body and works on it in a thread.
The template of a route, never the path a client made up, is what metrics and logs name.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from outcrop import Scores

from .body import Body
from .errors import Problem

UNKNOWN = "unknown"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass
class Exchange:
    """One request, and what becomes known of it on its way.

    Attributes
    ----------
    request_id : str
        Of the client where it sent a plain one in X-Request-ID, otherwise made here.
    arrived : float
        On the clock of `time.monotonic`.
    route : str
        Template of its route, or `UNKNOWN`.
    parameters : mapping
        What the template's fields stand for.
    body_bytes : int or None
    scores : Scores or None
        What it was answered with.
    quiet : bool
        Whether it is one of the many that probes make.
    """

    method: str
    path: str
    headers: Headers
    request_id: str
    arrived: float
    route: str = UNKNOWN
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    body_bytes: int | None = None
    scores: Scores | None = None
    quiet: bool = False

    @staticmethod
    def of(scope: Scope) -> "Exchange":
        """Begin an exchange."""
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        return Exchange(scope["method"], scope["path"], headers, request_id, time.monotonic())


@dataclass(frozen=True)
class Page:
    """Answers GET and HEAD.

    Attributes
    ----------
    path : str
        Template; ``{name}`` stands for one segment.
    answer : callable
    is_open : bool
        Whether everybody may ask, token or not.
    """

    path: str
    answer: Callable[[Exchange], Response]
    is_open: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD")


@dataclass(frozen=True)
class Job:
    """Answers POST with the result of work.

    Attributes
    ----------
    path : str
        Template.
    accepts : tuple of str
        Content types.
    run : callable
        Runs in a thread; sets `Exchange.scores`.
    check : callable, optional
        Runs before the body is read; raises a Problem where the parameters are wrong.
    """

    path: str
    accepts: tuple[str, ...]
    run: Callable[[Exchange, Body], Response]
    check: Callable[[Exchange], object] = lambda _: None
    is_open: bool = False
    methods: tuple[str, ...] = ("POST",)


Route = Page | Job


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", re.sub(r"\.", r"\.", template)))


class Table:
    """All routes of a service; each path belongs to one.

    Parameters
    ----------
    routes : iterable of Page or Job
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._fixed = {route.path: route for route in self.routes if "{" not in route.path}
        self._patterns = [
            (_pattern(route.path), route) for route in self.routes if "{" in route.path
        ]

    def find(self, exchange: Exchange) -> Route:
        """Return the route of an exchange, and name it there.

        Raises
        ------
        Problem
            404 for a path that is not here, 405 for another method.
        """
        route = self._fixed.get(exchange.path)
        if route is None:
            for pattern, candidate in self._patterns:
                match = pattern.fullmatch(exchange.path)
                if match is not None:
                    route = candidate
                    exchange.parameters = match.groupdict()
                    break
        if route is None:
            raise Problem(
                404,
                f"nothing is at {exchange.path[:200]!r}; GET /openapi.json lists what there is",
                reason="not_found",
            )
        exchange.route = route.path
        exchange.quiet = route.is_open
        if exchange.method not in route.methods:
            raise Problem(
                405,
                f"{route.path} does not take {exchange.method[:20]}; send {route.methods[0]}",
                reason="method",
                headers={"Allow": ", ".join(route.methods)},
            )
        return route
