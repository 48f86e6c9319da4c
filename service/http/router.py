"""Router: the routes of a service, and the context of a request.

A GET route is answered at once, in the event loop. A POST route takes a body and works on it in a
thread. Metrics and logs name a route by its template, never by the path that a client sent.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from .body import Body
from .errors import Problem

UNKNOWN = "unknown"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass
class RequestContext:
    """One request, and what becomes known of it while it is handled.

    Attributes
    ----------
    method, path : str
    headers : Headers
    request_id : str
        The client's X-Request-ID where it is well-formed, otherwise made here.
    arrived : float
        On the clock of `time.monotonic`.
    route : str
        Template of its route, or `UNKNOWN`.
    parameters : mapping
        Values of the template's fields.
    json_header : object
        What `PostRoute.check_header` has read, for `PostRoute.run`; None before.
    body_bytes : int or None
        Size of the body, once it is complete.
    log_fields : mapping
        What the route adds to the request's log line.
    is_probe : bool
        Whether it is one of the many requests of probes, which are logged at DEBUG.
    """

    method: str
    path: str
    headers: Headers
    request_id: str
    arrived: float
    route: str = UNKNOWN
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    json_header: Any = None
    body_bytes: int | None = None
    log_fields: Mapping[str, object] = field(default_factory=dict[str, object])
    is_probe: bool = False

    @staticmethod
    def from_scope(scope: Scope) -> "RequestContext":
        """Return the context of an ASGI request that has just arrived."""
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        return RequestContext(scope["method"], scope["path"], headers, request_id, time.monotonic())


@dataclass(frozen=True)
class GetRoute:
    """A route for GET and HEAD.

    Attributes
    ----------
    path : str
        Template; ``{name}`` stands for one segment.
    answer : callable
        Runs in the event loop, so it must be quick.
    is_open : bool
        Whether requests without a token are accepted.
    """

    path: str
    answer: Callable[[RequestContext], Response]
    is_open: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD")


def _accept(_: RequestContext) -> None:
    """Accept any parameters."""


def _no_tensors(_: RequestContext, header: bytes) -> int:
    """Expect nothing after the JSON header of a binary body."""
    return 0


@dataclass(frozen=True)
class PostRoute:
    """A route for POST.

    Attributes
    ----------
    path : str
        Template.
    accepts : tuple of str
        Content types.
    run : callable
        Runs in a thread, when the body is complete.
    check : callable, optional
        Runs before the body is read; raises a Problem where the parameters are wrong.
    check_header : callable, optional
        Runs when the JSON header of a binary body has arrived; returns how many bytes must
        follow it, or raises a Problem.
    is_slow : bool
        Whether `run` takes seconds: such requests wait for each other, and no other for them.
    """

    path: str
    accepts: tuple[str, ...]
    run: Callable[[RequestContext, Body], Response]
    check: Callable[[RequestContext], None] = _accept
    check_header: Callable[[RequestContext, bytes], int] = _no_tensors
    is_open: bool = False
    is_slow: bool = False
    methods: tuple[str, ...] = ("POST",)


Route = GetRoute | PostRoute


class Router:
    """All routes of a service; no path matches two of them.

    Paths are matched by Starlette's compiled templates, and no more of Starlette's routing is
    used: its Router would answer in plain text and redirect paths that end in a slash, and its
    Route ends a match with ``$``, which lets ``/score%0A`` through as ``/score``.

    Parameters
    ----------
    routes : iterable of GetRoute or PostRoute
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._patterns = [(compile_path(route.path)[0], route) for route in self.routes]

    def find(self, context: RequestContext) -> Route:
        """Return the route of a request, and name it in its context.

        Raises
        ------
        Problem
            404 for an unknown path, 405 for another method.
        """
        route = self._match(context)
        context.route = route.path
        context.is_probe = route.is_open

        if context.method not in route.methods:
            raise Problem(
                405,
                f"{route.path} does not take {context.method[:20]}; send {route.methods[0]}",
                reason="method",
                headers={"Allow": ", ".join(route.methods)},
            )
        return route

    def _match(self, context: RequestContext) -> Route:
        for pattern, route in self._patterns:
            match = pattern.fullmatch(context.path)
            if match is not None:
                context.parameters = match.groupdict()
                return route
        raise Problem(
            404,
            f"nothing is at {context.path[:200]!r}; GET /openapi.json lists all paths",
            reason="not_found",
        )
