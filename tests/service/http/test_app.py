"""Every request is answered in one shape and by name, whatever goes wrong."""

import http.client
import json
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from outcrop import Spectra
from outcrop.wire import encode_request
from service.application import Application
from tests.service.helpers import (
    INFER,
    JSON,
    URL,
    FaultyScorer,
    assert_error,
    client_of,
    encoded,
    listening,
    make_spectra,
    score_request,
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
def test_another_method_is_rejected(
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


def test_requests_from_other_machines_need_a_token_but_for_probes(
    make_application: Callable[..., Application], tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    file.write_text("secret-token")
    for client in (
        client_of(make_application(tokens_file=file)),
        client_of(make_application(), "http://10.0.0.7"),
    ):
        for path in ("/model", "/v2", "/openapi.json", "/v2/health/ready", "/v2/models/outcrop"):
            assert_error(client.get(path), 401, "OKEN")
        for path in ("/score", INFER):
            answer = client.post(path, content=b"{}", headers=JSON)
            assert_error(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/livez", "/readyz", "/metrics"):
            assert client.get(path).status_code == 200
    client = client_of(make_application(tokens_file=file), "http://10.0.0.7")
    assert client.get("/model", headers={"Authorization": "Bearer secret-token"}).is_success
    client = client_of(make_application(allow_anonymous=True), "http://10.0.0.7")
    assert client.get("/model").is_success


def test_a_websocket_is_rejected(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/score"):
        pytest.fail("it was accepted")


def test_an_unexpected_error_is_logged_with_the_request_id_and_not_shown(
    make_application: Callable[..., Application],
    faulty_scorer: FaultyScorer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = client_of(make_application(faulty_scorer))
    faulty_scorer.error = KeyError("a secret detail")
    headers = JSON | {"X-Request-ID": "find-me"}
    with caplog.at_level(logging.INFO, "service"):
        answer = client.post(
            "/score", content=encoded(score_request(make_spectra(1))), headers=headers
        )
    error = assert_error(answer, 500, "report it with the request_id")
    assert "secret" not in error
    (record,) = [r for r in caplog.records if r.exc_info]
    assert vars(record)["fields"]["request_id"] == "find-me"


def post(port: int, spectra: Spectra, **options: Any) -> httpx2.Response:
    headers, body = encode_request(spectra)
    return httpx2.post(f"{URL}:{port}{INFER}", content=body, headers=headers, timeout=60, **options)


def test_beyond_the_slots_a_request_is_rejected_until_one_is_free(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, max_in_work=1, max_waiting=1)
    spectra = make_spectra(1)
    with listening(application) as port, ThreadPoolExecutor(2) as callers:
        faulty_scorer.pause()
        answers = [callers.submit(post, port, spectra) for _ in range(2)]
        wait_for(lambda: application.work.taken == 2)
        busy = post(port, spectra)
        assert_error(busy, 429, "try again later")
        assert int(busy.headers["retry-after"]) >= 1
        assert httpx2.get(f"{URL}:{port}/readyz").is_success
        faulty_scorer.resume()
        assert [answer.result().status_code for answer in answers] == [200, 200]
        assert post(port, spectra).is_success


def test_a_late_response_is_a_504_and_its_slot_is_free_when_its_thread_is_done(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, max_in_work=1, max_waiting=0, deadline_seconds=1)
    with listening(application) as port:
        faulty_scorer.pause()
        assert_error(post(port, make_spectra(1)), 504, "the deadline passed")
        assert application.work.taken == 1
        assert_error(post(port, make_spectra(1)), 429)
        faulty_scorer.resume()
        wait_for(lambda: application.work.taken == 0)


def test_a_client_that_disconnects_frees_its_slot_when_its_thread_is_done(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, max_in_work=1, max_waiting=1)
    headers, body = encode_request(make_spectra(1))
    with listening(application) as port:
        faulty_scorer.pause()
        calls = faulty_scorer.calls
        connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(2)]
        for connection in connections:
            connection.request("POST", INFER, body, headers)
        wait_for(lambda: application.work.taken == 2 and faulty_scorer.calls == calls + 1)
        for connection in connections:
            connection.close()
        wait_for(lambda: _counted(application, "499") == 2)
        assert application.work.taken == 2
        faulty_scorer.resume()
        wait_for(lambda: application.work.taken == 0)
        assert faulty_scorer.calls == calls + 1


def _counted(application: Application, code: str) -> float:
    labels = {"route": "/v2/models/{model}/infer", "code": code}
    return application.metrics.registry.get_sample_value("outcrop_requests_total", labels) or 0


def test_slow_clients_take_no_slot(make_application: Callable[..., Application]) -> None:
    application = make_application(max_in_work=1, max_waiting=0)
    spectra = make_spectra(1)
    headers, body = encode_request(spectra)
    headers |= {"Host": "localhost", "Content-Length": str(len(body))}
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {INFER} HTTP/1.1\r\n{fields}\r\n"
    half = len(body) // 2
    with listening(application) as port, ExitStack() as open_sockets:
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


def test_half_a_body_is_rejected_at_the_deadline(
    make_application: Callable[..., Application],
) -> None:
    with listening(make_application(deadline_seconds=0.3)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.putrequest("POST", "/score")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b'{"spectra"')
        answer = connection.getresponse()
        assert answer.status == 408
        assert "only 10 bytes" in json.loads(answer.read())["error"]
        connection.close()


def test_an_early_rejection_reaches_a_client_that_is_still_sending(
    make_application: Callable[..., Application],
) -> None:
    with listening(make_application(max_body_bytes=2**20)) as port:
        body = b"x" * (64 * 2**20)
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": "2",
        }
        answer = httpx2.post(f"{URL}:{port}{INFER}", content=body, headers=headers)
        assert_error(answer, 413, f"Content-Length is {len(body)}")
