"""Without tokens, what a web page makes a browser send is rejected."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from service.application import Application
from service.http.errors import Problem
from service.http.host import HostCheck
from tests.service.helpers import INFER, JSON, assert_error, client_of

FOREIGN = {"Origin": "https://evil.example"}


def rejected(host: str | None, origin: str | None = None) -> bool:
    given = {"Host": host, "Origin": origin}
    check = HostCheck(["outcrop.svc"])
    try:
        check.check(Headers({name: value for name, value in given.items() if value is not None}))
    except Problem as problem:
        return problem.status == 403
    return False


@pytest.mark.parametrize(
    "host",
    [
        None,
        "127.0.0.1",
        "127.0.0.1:3000",
        "10.0.0.7:3000",
        "[::1]:3000",
        "[::1]",
        "localhost:3000",
        "LOCALHOST",
        "outcrop.svc:3000",
        f"{socket.gethostname()}:3000",
    ],
)
def test_an_address_and_the_names_of_the_service_are_accepted(host: str | None) -> None:
    assert not rejected(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "svc", "1.2.3"]
)
def test_other_names_are_rejected(host: str) -> None:
    assert rejected(host)


@pytest.mark.parametrize(
    ("origin", "foreign"),
    [
        ("http://127.0.0.1:3000", False),
        ("http://127.0.0.1:8888", True),
        ("http://127.0.0.1", True),
        ("https://evil.example", True),
        ("https://evil.example/?://127.0.0.1:3000", True),
        ("null", True),
        ("", True),
    ],
)
def test_the_origin_must_be_the_service_itself(origin: str, foreign: bool) -> None:
    assert rejected("127.0.0.1:3000", origin) == foreign


def test_every_route_rejects_a_web_page(client: TestClient) -> None:
    for path in ("/model", "/livez", "/readyz", "/metrics", "/v2", "/openapi.json"):
        answer = client.get(path, headers={"Host": "evil.example:3000"})
        assert_error(answer, 403, "Host is 'evil.example:3000'", "OUTCROP_ALLOWED_HOSTS=evil.")
        assert_error(client.get(path, headers=FOREIGN), 403, "Origin is 'https://evil.example'")
    for path in ("/score", INFER):
        assert_error(client.post(path, content=b"{}", headers=JSON | FOREIGN), 403)
        assert_error(client.post(path, content=b"{}", headers=JSON), 400)


def test_a_name_can_be_allowed(make_application: Callable[..., Application]) -> None:
    client = client_of(make_application(allowed_hosts="Outcrop, outcrop.svc"))
    for host in ("outcrop:3000", "outcrop.svc"):
        assert client.get("/model", headers={"Host": host}).is_success


def test_with_tokens_neither_is_checked(
    make_application: Callable[..., Application], tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret-token")
    client = client_of(make_application(tokens_file=file))
    headers = {"Host": "outcrop.example.org"} | FOREIGN
    assert client.get("/readyz", headers=headers).is_success
    assert_error(client.get("/model", headers=headers), 401)
    token = {"Authorization": "Bearer secret-token"}
    assert client.get("/model", headers=headers | token).is_success
