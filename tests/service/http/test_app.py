"""Whatever is asked, and however it goes wrong, the answer has one shape and a name."""

import http.client
import json
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from model_store.bundle import Bundle
from outcrop import Scores, Spectra
from outcrop.wire import encode_request
from scoring.scorer import Scorer
from scoring.stage_timer import Observe
from service.application import Application
from tests.service.helpers import (
    INFER,
    JSON,
    URL,
    Held,
    assert_error,
    document,
    encoded,
    listening,
    made_spectra,
    wait_for,
)

BENTOML_PAGES = [
    "/",
    "/healthz",
    "/docs.json",
    "/schema.json",
    "/static_content/index.html",
    "/assets/index.js",
]


@pytest.mark.parametrize(
    "path",
    [*BENTOML_PAGES, "/score/", "//score", "/v2/", "/V2", "/v2/models", "/a%2fb", "/é", "/..;/x"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "BREW"])
def test_an_unknown_path_is_not_found(client: TestClient, method: str, path: str) -> None:
    assert_error(client.request(method, path), 404, "nothing is at", "/openapi.json")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/score", "POST"),
        ("OPTIONS", "/score", "POST"),
        ("DELETE", INFER, "POST"),
        ("POST", "/readyz", "GET, HEAD"),
        ("PUT", "/v2/models/outcrop", "GET, HEAD"),
    ],
)
def test_another_method_is_refused(
    client: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = client.request(method, path)
    assert_error(answer, 405, "send")
    assert answer.headers["allow"] == allowed


def test_a_request_id_is_echoed_or_made(client: TestClient) -> None:
    sane = "a-Z_0.9" * 10
    assert client.get("/livez", headers={"X-Request-ID": sane}).headers["x-request-id"] == sane
    made = set[str]()
    for insane in ("", "a b", "x" * 129, "<script>", "é", 'a"b', "a\tb"):
        answer = client.get("/nowhere", headers=[(b"X-Request-ID", insane.encode())])
        assert_error(answer, 404)
        made.add(answer.headers["x-request-id"])
    assert len(made) == 7


def test_strangers_need_a_token_but_for_probes(
    application: Callable[..., Application], tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret-token")
    for client in (
        TestClient(application(tokens_file=file).door, base_url=URL),
        TestClient(application().door, base_url="http://10.0.0.7"),
    ):
        for path in ("/model", "/v2", "/openapi.json", "/v2/health/ready", "/v2/models/outcrop"):
            assert_error(client.get(path), 401, "OKEN")
        for path in ("/score", INFER):
            answer = client.post(path, content=b"{}", headers=JSON)
            assert_error(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/livez", "/readyz", "/metrics"):
            assert client.get(path).status_code == 200
    client = TestClient(application(tokens_file=file).door, base_url="http://10.0.0.7")
    assert client.get("/model", headers={"Authorization": "Bearer secret-token"}).is_success
    client = TestClient(application(allow_anonymous=True).door, base_url="http://10.0.0.7")
    assert client.get("/model").is_success


def test_a_websocket_is_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/score"):
        pytest.fail("it was accepted")


class Broken(Scorer):
    """A scorer with a mistake in it that shows after the warm-up."""

    broken = False

    def score(
        self, spectra: Spectra, *, reconstruction: bool = False, observe: Observe | None = None
    ) -> Scores:
        if self.broken:
            raise KeyError("a secret detail")
        return super().score(spectra, reconstruction=reconstruction, observe=observe)


def test_our_own_mistakes_are_logged_with_the_request_id_and_not_shown(
    application: Callable[..., Application], bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = Broken(Bundle.open(bundle), 1)
    client = TestClient(application(scorer).door, base_url=URL)
    scorer.broken = True
    headers = JSON | {"X-Request-ID": "find-me"}
    with caplog.at_level(logging.INFO, "service"):
        answer = client.post("/score", content=encoded(document(made_spectra(1))), headers=headers)
    error = assert_error(answer, 500, "report it with the request_id")
    assert "secret" not in error
    (record,) = [r for r in caplog.records if r.exc_info]
    assert vars(record)["fields"]["request_id"] == "find-me"


@pytest.fixture
def held(bundle: Path) -> Iterator[Held]:
    scorer = Held(Bundle.open(bundle))
    yield scorer
    scorer.go.set()


def post(port: int, spectra: Spectra, **options: Any) -> httpx2.Response:
    headers, body = encode_request(spectra)
    return httpx2.post(f"{URL}:{port}{INFER}", content=body, headers=headers, timeout=60, **options)


def test_beyond_the_places_a_request_is_told_to_come_again(
    application: Callable[..., Application], held: Held
) -> None:
    made = application(held, max_in_work=1, max_waiting=1)
    spectra = made_spectra(1)
    with listening(made) as port, ThreadPoolExecutor(2) as callers:
        held.go.clear()
        answers = [callers.submit(post, port, spectra) for _ in range(2)]
        wait_for(lambda: made.work.taken == 2)
        busy = post(port, spectra)
        assert_error(busy, 429, "try again later")
        assert int(busy.headers["retry-after"]) >= 1
        assert httpx2.get(f"{URL}:{port}/readyz").is_success
        held.go.set()
        assert [answer.result().status_code for answer in answers] == [200, 200]
        assert post(port, spectra).is_success


def test_a_late_answer_is_a_504_and_its_place_is_free_when_its_thread_is(
    application: Callable[..., Application], held: Held
) -> None:
    made = application(held, max_in_work=1, max_waiting=0, deadline_seconds=2)
    with listening(made) as port:
        held.go.clear()
        assert_error(post(port, made_spectra(1)), 504, "the deadline passed")
        assert made.work.taken == 1
        assert_error(post(port, made_spectra(1)), 429)
        held.go.set()
        wait_for(lambda: made.work.taken == 0)


def test_a_client_that_leaves_frees_its_place_when_its_thread_is_done(
    application: Callable[..., Application], held: Held
) -> None:
    made = application(held, max_in_work=1, max_waiting=1)
    headers, body = encode_request(made_spectra(1))
    with listening(made) as port:
        held.go.clear()
        begun = held.begun
        leaving: list[http.client.HTTPConnection] = []
        for _ in range(2):
            leaving.append(http.client.HTTPConnection("127.0.0.1", port))
            leaving[-1].request("POST", INFER, body, headers)
        wait_for(lambda: made.work.taken == 2 and held.begun == begun + 1)
        for connection in leaving:
            connection.close()
        wait_for(lambda: _counted(made, "499") == 2)
        assert made.work.taken == 2
        held.go.set()
        wait_for(lambda: made.work.taken == 0)
        assert held.begun == begun + 1


def _counted(made: Application, code: str) -> float:
    labels = {"route": "/v2/models/{model}/infer", "code": code}
    return made.metrics.registry.get_sample_value("outcrop_requests_total", labels) or 0


def test_slow_senders_hold_no_place(application: Callable[..., Application]) -> None:
    made = application(max_in_work=1, max_waiting=0)
    spectra = made_spectra(1)
    headers, body = encode_request(spectra)
    headers |= {"Host": "x", "Content-Length": str(len(body))}
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {INFER} HTTP/1.1\r\n{fields}\r\n"
    half = len(body) // 2
    with listening(made) as port, ExitStack() as open_sockets:
        slow = [
            open_sockets.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(50)
        ]
        for each in slow:
            each.sendall(head.encode() + body[:half])
        for _ in range(5):
            assert post(port, spectra).is_success
        for each in slow[:25]:
            each.close()
        slow[-1].sendall(body[half:])
        assert slow[-1].recv(12) == b"HTTP/1.1 200"


def test_a_half_body_is_refused_at_the_deadline(application: Callable[..., Application]) -> None:
    with listening(application(deadline_seconds=0.3)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.putrequest("POST", "/score")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"spectra"')
        answer = connection.getresponse()
        assert answer.status == 408
        assert "only 10 bytes" in json.loads(answer.read())["error"]
        connection.close()


def test_an_early_refusal_reaches_a_client_that_is_still_sending(
    application: Callable[..., Application],
) -> None:
    with listening(application(max_body_bytes=2**20)) as port:
        body = b"x" * (64 * 2**20)
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": "2",
        }
        answer = httpx2.post(f"{URL}:{port}{INFER}", content=body, headers=headers)
        assert_error(answer, 413, f"Content-Length is {len(body)}")
