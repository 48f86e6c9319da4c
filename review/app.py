"""App: the requests of the page, checked and answered."""

import html
import json
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outcrop import ConnectionFailed, OutcropError
from outcrop.errors import LabelsUnavailable
from outcrop.label import check_scanner

from .access import COOKIE, SESSION_SECONDS, Access, Session
from .arrays import pack, to_json
from .refusal import Refusal
from .review import Review

STATIC: Final = Path(__file__).parent / "static"
PACKAGES: Final = Path(__file__).parent / "node_modules"
"""Installed by `make review-packages`."""
_VENDOR: Final = {
    "uplot.js": "uplot/dist/uPlot.esm.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
    "kdbush.js": "kdbush/index.js",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY.format(forms="'none'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer browsers would send the login with Origin: null.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_MOST_BYTES: Final = 1 << 16
_DIGITS: Final = 10
_BYTES: Final = "application/octet-stream"
_OPEN: Final = ("/login", "/readyz", "/static/style.css")
_LOGIN: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Outcrop: log in</title>
<link rel="stylesheet" href="/static/style.css">
<main>
<h1>Outcrop: log in</h1>
<p role="alert">{message}</p>
<form method="post" action="/login">
<p><label>Your name, as it stands beside your labels
<input name="scanner" maxlength="10" required autocomplete="username" value="{scanner}"></label></p>
<p><label>Token
<input name="token" type="password" required autocomplete="current-password"></label></p>
<p><button>Log in</button></p>
</form>
</main>
</html>
"""
logger = logging.getLogger("review")


class Guard:
    """Let a request through to the app where `Access` allows it; name and answer every one.

    Parameters
    ----------
    app : ASGIApp
    access : Access
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the ASGI interface."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        request_id = secrets.token_hex(8)
        request = Request(scope, receive)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = {**_HEADERS, "X-Request-ID": request_id}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (n.encode(), v.encode())
                        for n, v in more.items()
                        if n.lower().encode() not in given
                    ),
                ]
            await send(message)

        try:
            session = self._checked(request)
        except Refusal as refusal:
            await _error(refusal.status, str(refusal), request_id)(scope, receive, named)
            return
        if session is None and request.url.path not in _OPEN:
            await self._ask_to_log_in(request, request_id)(scope, receive, named)
            return
        scope["state"]["session"] = session
        await self._app(scope, receive, named)

    def _checked(self, request: Request) -> Session | None:
        self._access.check_host(request.headers.get("host", ""))
        session = self._access.session(request.cookies)
        if request.method not in ("GET", "HEAD"):
            self._access.check_origin(request.headers)
            if session is not None and request.url.path != "/login":
                self._access.check_csrf(session, request.headers)
        return session

    def _ask_to_log_in(self, request: Request, request_id: str) -> Response:
        if request.url.path == "/" and request.method == "GET":
            return RedirectResponse("/login", 303)
        return _error(401, "log in at /login", request_id)


def make_app(review: Review, access: Access) -> Guard:
    """Return the ASGI application of a review."""

    def night(request: Request) -> Response:
        session = _session(request)
        more = {"csrf": session.csrf, "login": access.with_tokens}
        return _json(review.describe(session.scanner) | more)

    def columns(request: Request) -> Response:
        arrays = review.columns(_session(request).scanner)
        return Response(pack(arrays, rows=len(review.night)), media_type=_BYTES)

    def places(_: Request) -> Response:
        return Response(pack(review.map()), media_type=_BYTES)

    async def ready(_: Request) -> Response:
        return _json({"coming": review.coming()})

    def order(request: Request) -> Response:
        rows = review.order(request.path_params["name"], _session(request).scanner)
        return Response(rows.astype("<i4").tobytes(), media_type=_BYTES)

    def spectrum(request: Request) -> Response:
        arrays, meta = review.spectrum(_row(request), _session(request).scanner)
        return Response(pack(arrays, meta=meta), media_type=_BYTES)

    def spectrum_at(request: Request) -> Response:
        text = request.query_params.get("z", "")
        try:
            z = float(text)
        except ValueError as error:
            raise Refusal(400, f"z is {text[:50]!r}; expected a redshift, as ?z=0.5") from error
        return Response(pack(review.spectrum_at(_row(request), z), z=z), media_type=_BYTES)

    def neighbours(request: Request) -> Response:
        arrays, said = review.neighbours(_row(request), _session(request).scanner)
        return Response(pack(arrays, **said), media_type=_BYTES)

    def exposures(request: Request) -> Response:
        arrays, which = review.exposures(_row(request))
        return Response(pack(arrays, exposures=which), media_type=_BYTES)

    def labels(request: Request) -> Response:
        return _json({"labels": review.labels(_session(request).scanner)})

    async def label(request: Request) -> Response:
        content = await _content(request)
        return await _written(review.label, _session(request).scanner, content)

    async def undo(request: Request) -> Response:
        await _content(request)
        return await _written(review.undo, _session(request).scanner)

    app = Starlette(
        routes=[
            Route("/", _index),
            Route("/readyz", ready),
            *_login_routes(access),
            Route("/api/night", night),
            Route("/api/columns", columns),
            Route("/api/map", places),
            Route("/api/order/{name}", order),
            Route("/api/spectrum/{row}", spectrum),
            Route("/api/spectrum/{row}/at", spectrum_at),
            Route("/api/spectrum/{row}/neighbours", neighbours),
            Route("/api/spectrum/{row}/exposures", exposures),
            Route("/api/labels", labels, methods=["GET"]),
            Route("/api/labels", label, methods=["POST"]),
            Route("/api/labels/undo", undo, methods=["POST"]),
            Route("/vendor/{name}", _vendor),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        ],
        exception_handlers={
            Refusal: _answer,
            OutcropError: _answer,
            HTTPException: _answer,
            Exception: _answer,
        },
    )
    return Guard(app, access)


def _login_routes(access: Access) -> list[Route]:
    async def page(request: Request) -> Response:
        return _login_page("" if access.with_tokens else "This review needs no login.")

    async def login(request: Request) -> Response:
        body = await _body(request)
        form = {
            name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()
        }
        scanner = form.get("scanner", "").strip()
        address = "" if request.client is None else request.client.host
        try:
            check_scanner(scanner)
            cookie = access.log_in(scanner, form.get("token", "").strip(), address)
        except (Refusal, OutcropError) as error:
            status = error.status if isinstance(error, Refusal) else 401
            return _login_page(str(error), scanner, status)

        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def logout(request: Request) -> Response:
        access.log_out(request.cookies)
        response = _json({})
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    return [
        Route("/login", page, methods=["GET"]),
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
    ]


def _login_page(message: str, scanner: str = "", status: int = 200) -> Response:
    text = _LOGIN.format(message=html.escape(message), scanner=html.escape(scanner))
    policy = _POLICY.format(forms="'self'")
    return HTMLResponse(text, status, {"Content-Security-Policy": policy})


def _index(_: Request) -> Response:
    return _file(STATIC / "index.html", "the page is not there; install Outcrop again")


def _vendor(request: Request) -> Response:
    name: str = request.path_params["name"]
    if name not in _VENDOR:
        raise Refusal(404, f"there is no package {name[:50]!r}")
    return _file(PACKAGES / _VENDOR[name], f"{name} is not installed; run make review-packages")


def _file(path: Path, otherwise: str) -> Response:
    if not path.is_file():
        raise Refusal(404, otherwise)
    return FileResponse(path)


def _row(request: Request) -> int:
    text: str = request.path_params["row"]
    if not (text.isascii() and text.isdecimal() and len(text) < _DIGITS):
        raise Refusal(404, f"there is no row {text[:50]!r}")
    return int(text)


def _session(request: Request) -> Session:
    return request.state.session


async def _written(change: Callable[..., Any], *arguments: Any) -> Response:
    """Answer a change of the labels, made outside of the event loop."""
    found = await run_in_threadpool(change, *arguments)
    return _json(found if isinstance(found, dict) else {"id": found})


async def _content(request: Request) -> dict[str, Any]:
    """Return the JSON object of a write; Refusal where it is none."""
    try:
        content = json.loads(await _body(request), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Refusal(400, "the body is not a JSON object")
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise Refusal(413, f"the body is larger than {_MOST_BYTES} bytes")
    return body


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")


def _error(status: int, message: str, request_id: str) -> Response:
    return _json({"error": message, "request_id": request_id}, status)


async def _answer(request: Request, error: Exception) -> Response:
    """Answer an error with one sentence."""
    request_id: str = request.state.request_id
    if isinstance(error, Refusal):
        status, message = error.status, str(error)
    elif isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
    elif isinstance(error, LabelsUnavailable | ConnectionFailed):
        status, message = 503, str(error)
    elif isinstance(error, OutcropError):
        status, message = 400 if request.method == "POST" else 409, str(error)
    else:
        logger.error("request %s failed", request_id, exc_info=error)
        status, message = 500, f"request {request_id} failed; the server's log says why"
    return _error(status, message, request_id)
