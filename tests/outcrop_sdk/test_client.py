"""Both clients, against a server on a loopback port."""

import asyncio
import dataclasses
import email.utils
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

import outcrop
from outcrop import (
    AsyncClient,
    Client,
    ConnectionFailed,
    InputError,
    OutcropError,
    Scores,
    ServerError,
    Spectra,
    StatusError,
    Timeout,
    WireError,
)
from outcrop.wire import DEFAULT_OUTPUTS, HEADER_LENGTH, decode_request, encode_response
from tests.outcrop_sdk.sample import (
    BINS,
    LATENTS,
    some_model,
    some_scores,
    some_spectra,
    write_coadd,
    write_redrock,
)
from tests.outcrop_sdk.server import Service, failing, reply

Call = Callable[..., Any]


def call_client(url: str, method: str, *args: Any, **options: Any) -> Any:
    with Client(url, **options) as client:
        return getattr(client, method)(*args)


def call_async_client(url: str, method: str, *args: Any, **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncClient(url, **options) as client:
            return await getattr(client, method)(*args)

    return asyncio.run(run())


@pytest.fixture(params=[call_client, call_async_client], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    return request.param


def same(scores: Scores, expected: Scores) -> None:
    assert set(scores.columns()) == set(expected.columns())
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(scores.columns()[name], column)


# --- what it does


def test_scores_come_back_row_by_row(call: Call, service: Service) -> None:
    spectra = some_spectra(4, bands=("b", "r", "z"))
    same(call(service.url, "score", spectra), some_scores(spectra))
    assert service.paths == ["/v2/models/outcrop/infer"]


def test_reconstructions_come_on_request(call: Call, service: Service) -> None:
    spectra = some_spectra(2)
    same(call(service.url, "score", spectra, True), some_scores(spectra, reconstruction=True))


def test_many_spectra_go_in_chunks_and_come_back_in_order(call: Call, service: Service) -> None:
    spectra = some_spectra(1203).rows(np.random.default_rng(1).permutation(1203))
    same(call(service.url, "score", spectra), some_scores(spectra))
    assert service.sizes == [500, 500, 203]
    assert len(set(service.request_ids)) == 3


@pytest.mark.parametrize("reconstruction", [False, True])
def test_no_spectra_have_no_scores(call: Call, service: Service, reconstruction: bool) -> None:
    scores = call(service.url, "score", some_spectra(0), reconstruction)
    assert service.paths == ["/model"]
    assert len(scores) == 0
    assert scores.latent.shape == (0, LATENTS)
    if reconstruction:
        assert scores.rest_ivar.shape == (0, BINS)
    expected = some_scores(some_spectra(1), reconstruction).columns()
    kinds = {name: column.dtype for name, column in scores.columns().items()}
    assert kinds == {name: column.dtype for name, column in expected.items()}


def test_a_petal_is_read_and_scored(call: Call, service: Service, tmp_path: Path) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [5, 6, 7])
    redrock = write_redrock(tmp_path / "redrock.fits", [7, 5])
    scores = call(service.url, "score_petal", coadd, redrock)
    assert scores.targetid.tolist() == [7, 5]


def test_the_model_is_named(call: Call, service: Service) -> None:
    assert call(service.url, "model").to_json() == some_model().to_json()


def test_health_is_asked_once(call: Call, service: Service) -> None:
    assert call(service.url, "health") is True
    service.script = [failing(503)]
    assert call(service.url, "health") is False
    assert service.paths == ["/readyz", "/readyz"]


def test_health_of_what_is_no_service_is_an_error(call: Call, service: Service) -> None:
    with pytest.raises(StatusError, match="404") as caught:
        call(service.url + "/elsewhere", "health")
    assert caught.value.status == 404


def test_the_token_is_sent(call: Call, service: Service) -> None:
    call(service.url, "model", token="s3cret")
    call(service.url, "model")
    assert service.tokens == ["Bearer s3cret", None]


def test_a_path_and_a_final_slash_in_the_address_are_kept_and_dropped(
    call: Call, service: Service
) -> None:
    call(service.url + "/", "model")
    with pytest.raises(StatusError):
        call(service.url + "/outliers/", "model")
    assert service.paths == ["/model", "/outliers/model"]


# --- what it tries again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_asked_again_with_the_same_id(
    call: Call, service: Service, status: int
) -> None:
    service.script = [failing(status, Retry_After="0")] * 2
    spectra = some_spectra(2)
    same(call(service.url, "score", spectra), some_scores(spectra))
    assert len(service.paths) == 3
    assert len(set(service.request_ids)) == 1


def test_without_retry_after_it_waits_a_moment_of_its_own(call: Call, service: Service) -> None:
    service.script = [failing(503)]
    assert call(service.url, "model").version == "20260101"


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 500, 501])
def test_other_errors_are_final(call: Call, service: Service, status: int) -> None:
    service.script = [failing(status, b'{"error": "flux_b has 3 pixels"}')]
    with pytest.raises(StatusError, match="flux_b has 3 pixels") as caught:
        call(service.url, "score", some_spectra(1))
    assert len(service.paths) == 1
    assert caught.value.status == status
    assert caught.value.request_id == service.request_ids[0]
    assert f"(request {caught.value.request_id})" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, outcrop.BadRequest),
        (401, outcrop.Unauthorized),
        (413, outcrop.TooLarge),
        (415, outcrop.UnsupportedMediaType),
        (500, outcrop.ServerError),
    ],
)
def test_a_status_has_its_class(
    call: Call, service: Service, status: int, kind: type[StatusError]
) -> None:
    service.script = [failing(status)]
    with pytest.raises(kind):
        call(service.url, "model")


def test_the_id_that_the_service_states_is_the_errors(call: Call, service: Service) -> None:
    service.script = [failing(400, b'{"error": "no", "request_id": "theirs"}')]
    with pytest.raises(outcrop.BadRequest) as caught:
        call(service.url, "model")
    assert caught.value.request_id == "theirs"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no explanation"),
        (b"<html>\n  Bad   Gateway </html>", "<html> Bad Gateway </html>"),
        (b"\xff\xfe", "400"),
        (b'["a list"]', "a list"),
        (b'{"error": 5}', "error"),
        (b"[" * 5000, "400"),
    ],
)
def test_answers_that_are_not_ours_are_quoted(
    call: Call, service: Service, body: bytes, text: str
) -> None:
    service.script = [failing(400, body)]
    with pytest.raises(outcrop.BadRequest, match=re.escape(text)) as caught:
        call(service.url, "model")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "later", [lambda: "3600", lambda: email.utils.formatdate(time.time() + 3600)]
)
def test_a_wait_beyond_the_deadline_is_not_waited_for(
    call: Call, service: Service, later: Callable[[], str]
) -> None:
    service.script = [failing(429, Retry_After=later())]
    with pytest.raises(outcrop.RateLimited) as caught:
        call(service.url, "score", some_spectra(1))
    assert caught.value.retry_after == pytest.approx(3600, abs=60)
    assert len(service.paths) == 1


def test_retry_after_is_honoured(
    call: Call, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.script = [failing(429, Retry_After="1")]
    with caplog.at_level(logging.INFO, "outcrop"):
        call(service.url, "model")
    assert re.search(r"429 Too Many Requests: busy .*; next try in 1\.[0-3] s", caplog.text)


@pytest.mark.parametrize("value", ["soon", "-5", "", "Mon, 99 Zzz 2020 00:00:00 GMT"])
def test_a_senseless_retry_after_is_ignored(call: Call, service: Service, value: str) -> None:
    service.script = [failing(503, Retry_After=value)]
    assert call(service.url, "model").version == "20260101"


def test_it_gives_up_at_the_deadline_with_the_last_error(call: Call, service: Service) -> None:
    service.script = [failing(503)] * 100
    with pytest.raises(ServerError, match="busy"):
        call(service.url, "model", timeout=2.0)
    assert 1 < len(service.paths) < 100


def test_what_the_service_said_outlives_a_try_that_ran_out_of_time(
    call: Call, service: Service
) -> None:
    service.script = [failing(503, Retry_After="0"), lambda *_: service.closing.wait(20)]
    with pytest.raises(ServerError, match="busy"):
        call(service.url, "model", timeout=3.0)
    assert len(service.paths) == 2


def test_one_deadline_holds_for_all_chunks(call: Call, service: Service) -> None:
    def hang_then(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        return service.closing.wait(20)

    service.script = [lambda *_: False, hang_then]
    with pytest.raises(Timeout):
        call(service.url, "score", some_spectra(501), timeout=4.0)
    assert service.sizes == [500]


def test_a_service_that_never_answers_is_a_timeout(call: Call, service: Service) -> None:
    service.script = [lambda *_: service.closing.wait(20)]
    with pytest.raises(Timeout, match=r"no complete answer within 1 s") as caught:
        call(service.url, "model", timeout=1.0)
    assert caught.value.request_id == service.request_ids[0]


def test_a_service_that_answers_in_drips_is_a_timeout(call: Call, service: Service) -> None:
    def drip(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b" ")
            if service.closing.wait(0.05):
                break
        return True

    service.script = [drip]
    with pytest.raises(Timeout, match="no complete answer"):
        call(service.url, "model", timeout=0.5)


def hang_up(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def test_a_connection_that_breaks_is_tried_again(call: Call, service: Service) -> None:
    service.script = [hang_up, hang_up]
    spectra = some_spectra(2)
    same(call(service.url, "score", spectra), some_scores(spectra))
    assert len(service.paths) == 3


def test_a_service_that_is_not_there_is_given_up_after_some_tries(
    call: Call, closed_port: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "outcrop"),
        pytest.raises(ConnectionFailed, match="is the service running") as caught,
    ):
        call(closed_port, "model")
    assert caught.value.request_id
    assert caplog.text.count("next try") == 4


def test_health_of_a_service_that_is_not_there_is_an_error(call: Call, closed_port: str) -> None:
    with pytest.raises(ConnectionFailed, match=closed_port):
        call(closed_port, "health")


def test_the_transport_is_the_seam(service: Service) -> None:
    class Flaky(httpx2.HTTPTransport):
        left = 2

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            self.left -= 1
            if self.left >= 0:
                raise httpx2.ConnectError("unplugged")
            return super().handle_request(request)

    with Client(service.url, transport=Flaky()) as client:
        assert client.model().version == "20260101"


# --- answers that make no sense


def says(body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler, bytes], bool]:
    return lambda handler, _: reply(handler, 200, body, **headers)


@pytest.mark.parametrize(
    "script",
    [
        says(b"<html>Welcome to nginx</html>"),
        says(b"{}"),
        says(b"[" * 100_000),
        says(b"{}", Inference_Header_Content_Length="two"),
        says(b"{}", Inference_Header_Content_Length="2000"),
        says(b"not gzip", Content_Encoding="gzip"),
    ],
)
def test_scores_that_are_none_are_refused(call: Call, service: Service, script: Any) -> None:
    service.script = [script]
    with pytest.raises(WireError, match="cannot be") as caught:
        call(service.url, "score", some_spectra(1))
    assert caught.value.request_id == service.request_ids[0]
    assert len(service.paths) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "hello",
        "[]",
        "{}",
        json.dumps(some_model().to_json() | {"redshift_range": [0]}),
        json.dumps(some_model().to_json() | {"wave": 5}),
        json.dumps(some_model().to_json() | {"thresholds": 5}),
        json.dumps(some_model().to_json() | {"latents": "ten"}),
        json.dumps(some_model().to_json()).replace('"latents": 3', '"latents": 1e999'),
        "[" * 100_000,
    ],
)
def test_a_model_that_is_none_is_refused(call: Call, service: Service, answer: str) -> None:
    service.script = [says(answer.encode())]
    with pytest.raises(WireError, match="is it an Outcrop service") as caught:
        call(service.url, "model")
    assert caught.value.request_id == service.request_ids[0]


def answering(
    scores: Callable[[Spectra], Scores], outputs: Sequence[str]
) -> Callable[[BaseHTTPRequestHandler, bytes], bool]:
    """A script that answers other scores, or fewer, than it was asked for."""

    def script(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        request = decode_request(body, int(handler.headers[HEADER_LENGTH]))
        changed = dataclasses.replace(request, outputs=tuple(outputs))
        headers, content = encode_response(scores(request.spectra), changed, "outcrop", "1")
        return reply(handler, 200, content, **headers)

    return script


def test_scores_of_other_spectra_are_refused(call: Call, service: Service) -> None:
    service.script = [answering(lambda _: some_scores(some_spectra(2, first=9)), DEFAULT_OUTPUTS)]
    with pytest.raises(WireError, match="targetid are not those of the request"):
        call(service.url, "score", some_spectra(2))


def test_an_answer_without_the_reconstruction_asked_for_is_refused(
    call: Call, service: Service
) -> None:
    service.script = [answering(some_scores, DEFAULT_OUTPUTS)]
    with pytest.raises(WireError, match="it lacks reconstruction, rest_flux, rest_ivar"):
        call(service.url, "score", some_spectra(2), True)


def test_scores_of_two_models_are_never_joined(call: Call, service: Service) -> None:
    def upgrade(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        object.__setattr__(service.model, "version", "20260202")
        return False

    service.script = [lambda *_: False, upgrade]
    with pytest.raises(OutcropError, match="changed its model during the call"):
        call(service.url, "score", some_spectra(501))


# --- arguments


@pytest.mark.parametrize(
    "url", ["", "nowhere", "ftp://x", "http://", "http://x:port", "http://x?a=b", 5]
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_address_that_is_none_is_refused(kind: Any, url: Any) -> None:
    with pytest.raises(InputError, match="url is"):
        kind(url)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"token": ""}, "token is empty"),
        ({"token": "a\nb"}, "token is empty or has characters"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_arguments_that_make_no_sense_are_refused(
    kind: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        kind("http://127.0.0.1:3000", **options)
