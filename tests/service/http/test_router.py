"""A path belongs to one route or to none, however it is written."""

import pytest
from starlette.datastructures import Headers
from starlette.responses import Response

from service.http.errors import Problem
from service.http.router import UNKNOWN, GetRoute, PostRoute, RequestContext, Router

ROUTES = [
    GetRoute("/models/{model}", lambda _: Response(), is_open=True),
    GetRoute("/models/{model}/versions/{version}", lambda _: Response()),
    GetRoute("/openapi.json", lambda _: Response()),
    PostRoute("/score", ("application/json",), lambda context, body: Response()),
]


def context(path: str, method: str = "GET") -> RequestContext:
    return RequestContext(method, path, Headers(), "id", 0.0)


def test_a_template_gives_its_parameters_and_names_the_route() -> None:
    request = context("/models/m/versions/1.5")
    assert Router(ROUTES).find(request) is ROUTES[1]
    assert request.route == "/models/{model}/versions/{version}"
    assert request.parameters == {"model": "m", "version": "1.5"}


@pytest.mark.parametrize(
    "path",
    [
        "/score/",
        "/score\n",
        "/Score",
        "//score",
        "score",
        "/models/",
        "/models/a/b",
        "/models/m\n/versions/1/",
        "/openapi_json",
        "/{model}",
    ],
)
def test_only_whole_paths_match(path: str) -> None:
    request = context(path)
    with pytest.raises(Problem, match="nothing is at") as raised:
        Router(ROUTES).find(request)
    assert (raised.value.status, raised.value.reason) == (404, "not_found")
    assert request.route == UNKNOWN


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_get_route_takes_head_too(method: str) -> None:
    assert Router(ROUTES).find(context("/openapi.json", method)) is ROUTES[2]


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [("/score", "GET", "POST"), ("/openapi.json", "POST", "GET, HEAD")],
)
def test_another_method_is_rejected_under_the_routes_name(
    path: str, method: str, allowed: str
) -> None:
    request = context(path, method)
    with pytest.raises(Problem, match=f"does not take {method}; send") as raised:
        Router(ROUTES).find(request)
    assert (raised.value.status, raised.value.headers) == (405, {"Allow": allowed})
    assert request.route == path


def test_a_request_id_that_is_not_well_formed_is_replaced() -> None:
    def request_id(sent: bytes) -> str:
        scope = {"method": "GET", "path": "/", "headers": [(b"x-request-id", sent)]}
        return RequestContext.from_scope({"type": "http", **scope}).request_id

    assert request_id(b"night-7.a_b") == "night-7.a_b"
    assert len({request_id(b"a b"), request_id(b""), request_id(b"x" * 129)}) == 3
    assert request_id(b"<script>").isalnum()
