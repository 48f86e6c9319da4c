"""Without tokens, what a web page makes a browser send is rejected."""

from collections.abc import Callable
from pathlib import Path

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


def test_only_its_own_names_and_pages_are_accepted() -> None:
    """What these are is tested with the names."""
    for host in (None, "127.0.0.1:3000", "outcrop.svc:3000"):
        assert not rejected(host)
    assert rejected("evil.example:3000")
    assert not rejected("127.0.0.1:3000", "http://127.0.0.1:3000")
    assert rejected("127.0.0.1:3000", "null")


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
