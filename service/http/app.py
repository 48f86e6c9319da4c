"""Door: the ASGI application through which every request comes and every answer goes.

It names the request, finds its route, lets it in or not, reads its body within bounds, has the
work done, and whatever happens answers in one shape, counts and logs. No other layer sees a
request, so that nothing else can answer, count or log it differently.
"""

import logging
import time
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..interfaces.oip import declared_bytes
from ..monitoring.metrics import Metrics, status_counts
from ..settings import Settings
from . import body as bodies
from .auth import Guard
from .body import Budget, Limits
from .errors import ClientGone, Problem
from .router import Exchange, Job, Table
from .work import Work

# What nginx writes when a client leaves; it is counted and logged, never sent.
CLIENT_GONE = 499
_log = logging.getLogger("service")


class Door:
    """Answer HTTP requests.

    Parameters
    ----------
    settings : Settings
    table : Table
    metrics : Metrics
    work : Work
    """

    def __init__(self, settings: Settings, table: Table, metrics: Metrics, work: Work) -> None:
        self._settings = settings
        self._table = table
        self._metrics = metrics
        self._work = work
        self._guard = Guard(settings.tokens_file, settings.allow_anonymous)
        self._limits = Limits(settings.max_json_bytes, settings.max_body_bytes)
        self._budget = Budget(settings.max_inflight_bytes)
        metrics.work.set_function(lambda: work.taken)
        metrics.work_max.set(work.places)
        metrics.body_held.set_function(lambda: self._budget.held)
        metrics.body_held_max.set(self._budget.total)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        exchange = Exchange.of(scope)
        code = CLIENT_GONE
        self._metrics.requests_in_flight.inc()
        try:
            response = await self._respond(exchange, scope, receive)
            code = response.status_code
            await response(scope, receive, send)
        except ClientGone:
            pass
        finally:
            self._metrics.requests_in_flight.dec()
            self._record(exchange, code)

    async def _respond(self, exchange: Exchange, scope: Scope, receive: Receive) -> Response:
        try:
            response = await self._answer(exchange, scope, receive)
        except Problem as problem:
            if problem.reason is not None:
                self._metrics.rejected.labels(problem.reason).inc()
            response = problem.response(exchange.request_id)
        except ClientGone:
            raise
        except MemoryError:
            _log.exception("no memory", extra={"fields": {"request_id": exchange.request_id}})
            problem = Problem(
                503,
                "the server has no memory left for this request; try again later, or send fewer "
                "spectra at a time",
                headers={"Retry-After": "1"},
            )
            response = problem.response(exchange.request_id)
        except Exception:  # noqa: BLE001 (the last place that can answer; the log has it all)
            _log.exception("request failed", extra={"fields": {"request_id": exchange.request_id}})
            problem = Problem(
                500,
                "the server failed on this request, which is our mistake; report it with the "
                "request_id",
            )
            response = problem.response(exchange.request_id)
        response.headers["X-Request-ID"] = exchange.request_id
        return response

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive) -> Response:
        route = self._table.find(exchange)
        if not route.is_open:
            server = scope.get("server")
            # A Unix socket has a path and no port.
            local = server[0] if server is not None and server[1] is not None else None
            self._guard.check(exchange.headers.get("authorization"), local)
        if isinstance(route, Job):
            return await self._do(route, exchange, receive)
        return route.answer(exchange)

    async def _do(self, job: Job, exchange: Exchange, receive: Receive) -> Response:
        job.check(exchange)
        deadline = exchange.arrived + self._settings.deadline_seconds
        body = await bodies.read(
            bodies.form(exchange.headers, job.accepts, self._limits),
            receive,
            self._budget,
            seconds=self._settings.deadline_seconds,
            check_header=lambda header: declared_bytes(header, self._settings.max_spectra),
        )
        exchange.body_bytes = body.size
        return await self._work.run(
            lambda: job.run(exchange, body),
            deadline=deadline,
            gone=receive(),
            done=body.release,
        )

    def _record(self, exchange: Exchange, code: int) -> None:
        seconds = time.monotonic() - exchange.arrived
        self._metrics.observe(exchange, code, seconds)
        level = logging.DEBUG if exchange.quiet and code < HTTPStatus.BAD_REQUEST else logging.INFO
        if not _log.isEnabledFor(level):
            return
        fields: dict[str, object] = {
            "request_id": exchange.request_id,
            "route": exchange.route,
            "code": code,
            "seconds": round(seconds, 6),
        }
        if exchange.body_bytes is not None:
            fields["bytes"] = exchange.body_bytes
        if exchange.scores is not None:
            fields["n"] = len(exchange.scores)
            fields["status"] = status_counts(exchange.scores)
        _log.log(level, "request", extra={"fields": fields})
