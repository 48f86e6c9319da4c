"""HttpApp: the ASGI application that receives every request and sends every response.

It names the request, finds its route, checks its token, reads its body within limits, has the
work done, and in every case responds in one shape, counts and logs. No other layer sees a request,
so that nothing else can answer, count or log it differently.
"""

import logging
import time
from http import HTTPStatus
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..settings import Settings
from .auth import Authentication
from .body import Body, BodyLimits, parse_headers, read
from .budget import Budget
from .errors import REFUSAL, ClientDisconnected, Problem, forget_frames
from .host import HostCheck
from .router import PostRoute, RequestContext, Router
from .work import Work

# nginx's code for a client that disconnects; it is counted and logged, never sent.
CLIENT_DISCONNECTED = 499
_PIECE_BYTES = 256 * 2**10
_log = logging.getLogger("service")


class RequestObserver(Protocol):
    """Receives what `HttpApp` observes of each request."""

    def request_started(self) -> None:
        """A request has arrived."""
        ...

    def request_rejected(self, reason: str) -> None:
        """It is rejected for a reason, one of a fixed set."""
        ...

    def request_finished(self, context: RequestContext, code: int, seconds: float) -> None:
        """The response has been sent, or the client has disconnected."""
        ...


class HttpApp:
    """Answer HTTP requests.

    Parameters
    ----------
    settings : Settings
    router : Router
    work, slow_work : Work
        Of the routes that are not slow, and of those that are.
    budget : Budget
        Of the bytes of requests and responses.
    observer : RequestObserver
    """

    def __init__(
        self,
        settings: Settings,
        router: Router,
        work: Work,
        slow_work: Work,
        budget: Budget,
        observer: RequestObserver,
    ) -> None:
        self._deadline_seconds = settings.deadline_seconds
        self._authentication = Authentication(settings.tokens_file, settings.allow_anonymous)
        # A web page knows no token.
        self._host = HostCheck(settings.allowed_hosts) if settings.tokens_file is None else None
        self._limits = BodyLimits(settings.max_json_bytes, settings.max_body_bytes)
        self._router = router
        self._work = work
        self._slow_work = slow_work
        self._budget = budget
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the ASGI interface."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        context = RequestContext.from_scope(scope)
        code = CLIENT_DISCONNECTED
        self._observer.request_started()
        try:
            response = await self._respond(context, scope, receive)
            await self._send(response, send)
            code = response.status_code
        except ClientDisconnected:
            pass
        finally:
            self._finish(context, code)

    async def _respond(self, context: RequestContext, scope: Scope, receive: Receive) -> Response:
        try:
            response = await self._answer(context, scope, receive)
        except ClientDisconnected:
            raise
        except Exception as error:  # noqa: BLE001 (no later layer can answer; it is logged)
            problem = self._problem(error, context)
            if problem.reason is not None:
                self._observer.request_rejected(problem.reason)
            response = problem.response(context.request_id)
            forget_frames(error)
        response.headers["X-Request-ID"] = context.request_id
        return response

    def _problem(self, error: Exception, context: RequestContext) -> Problem:
        """Return the Problem to answer an error with; log it where it is not a Problem itself."""
        if isinstance(error, Problem):
            return error

        fields = {"fields": {"request_id": context.request_id}}
        if isinstance(error, MemoryError):
            _log.error("no memory", exc_info=error, extra=fields)
            return Problem(
                503,
                "the server has no memory left for this request; try again later, or send fewer "
                "spectra at a time",
                headers={"Retry-After": "1"},
            )

        _log.error("request failed", exc_info=error, extra=fields)
        return Problem(
            500, "the server failed on this request because of a bug; report it with the request_id"
        )

    async def _answer(self, context: RequestContext, scope: Scope, receive: Receive) -> Response:
        refusal = scope.get("extensions", {}).get(REFUSAL)
        if refusal is not None:
            raise refusal
        route = self._router.find(context)
        if self._host is not None:
            self._host.check(context.headers)
        if not route.is_open:
            self._authentication.check(context.headers.get("authorization"), _local_address(scope))
        if isinstance(route, PostRoute):
            return await self._post(route, context, receive)
        return route.answer(context)

    async def _post(self, route: PostRoute, context: RequestContext, receive: Receive) -> Response:
        route.check(context)
        body = await read(
            parse_headers(context.headers, route.accepts, self._limits),
            receive,
            self._budget,
            seconds=self._deadline_seconds,
            check_header=lambda header: route.check_header(context, header),
        )
        context.body_bytes = body.size
        work = self._slow_work if route.is_slow else self._work
        return await work.run(
            lambda: self._run(route, context, body),
            deadline=context.arrived + self._deadline_seconds,
            disconnected=receive(),
            done=body.release,
        )

    def _run(self, route: PostRoute, context: RequestContext, body: Body) -> Response:
        self._budget.check()
        return route.run(context, body)

    async def _send(self, response: Response, send: Send) -> None:
        """Send a response in pieces; return when the kernel has taken the last of them."""
        body = memoryview(response.body)
        with self._budget.responding(len(body)):
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status_code,
                    "headers": response.raw_headers,
                }
            )
            for start in range(0, len(body), _PIECE_BYTES):
                piece = body[start : start + _PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            # A message is sent only when the kernel has taken the one before it.
            await send({"type": "http.response.body", "body": b""})

    def _finish(self, context: RequestContext, code: int) -> None:
        seconds = time.monotonic() - context.arrived
        self._observer.request_finished(context, code, seconds)

        is_quiet = context.is_probe and code < HTTPStatus.BAD_REQUEST
        level = logging.DEBUG if is_quiet else logging.INFO
        if not _log.isEnabledFor(level):
            return
        fields: dict[str, object] = {
            "request_id": context.request_id,
            "route": context.route,
            "code": code,
            "seconds": round(seconds, 6),
        }
        if context.body_bytes is not None:
            fields["bytes"] = context.body_bytes
        _log.log(level, "request", extra={"fields": fields | {**context.log_fields}})


def _local_address(scope: Scope) -> str | None:
    """Return the address that the connection arrived at; None for a Unix socket."""
    server = scope.get("server")
    # A Unix socket has a path and no port.
    return server[0] if server is not None and server[1] is not None else None
