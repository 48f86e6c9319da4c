"""Both clients, against a server on a loopback port."""

import asyncio
import dataclasses
import gzip
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
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
    ModelChanged,
    Scores,
    ServerError,
    Spectra,
    StatusError,
    Timeout,
    WireError,
    correct_noise,
    read_spectra,
)
from outcrop.wire import HEADER_LENGTH, decode_request
from tests.outcrop_sdk.fault_server import (
    Fault,
    FaultInjectingServer,
    answering,
    failing,
    hang_up,
    no_fault,
    reply,
)
from tests.outcrop_sdk.sample import (
    some_explanations,
    some_model,
    some_scores,
    some_spectra,
    write_coadd,
    write_petal,
    write_redrock,
)

Call = Callable[..., Any]
pytestmark = pytest.mark.usefixtures("short_waits")


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


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send two spectra in a request."""
    monkeypatch.setattr("outcrop._http.inference.CHUNK", 2)
    monkeypatch.setattr("outcrop._http.inference.EXPLAIN_CHUNK", 2)


def assert_same(scores: Scores, expected: Scores) -> None:
    assert scores.model == expected.model
    assert set(scores.columns()) == set(expected.columns())
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(scores.columns()[name], column)


# --- calls


def test_scores_come_back_row_by_row(call: Call, server: FaultInjectingServer) -> None:
    spectra = some_spectra(4, bands=("b", "r", "z"))
    assert_same(call(server.url, "score", spectra), some_scores(spectra))
    assert server.paths == ["/v2/models/outcrop/infer"]


def test_reconstructions_come_on_request(call: Call, server: FaultInjectingServer) -> None:
    spectra = some_spectra(2)
    expected = some_scores(spectra, reconstruction=True)
    assert_same(call(server.url, "score", spectra, True), expected)


@pytest.mark.usefixtures("small_chunks")
def test_many_spectra_are_sent_in_chunks_and_come_back_in_order(
    call: Call, server: FaultInjectingServer
) -> None:
    spectra = some_spectra(7)[np.random.default_rng(1).permutation(7)]
    finished: list[int] = []
    scores = call(server.url, "score", spectra, False, finished.append)
    assert_same(scores, some_scores(spectra))
    assert finished == server.sizes == [2, 2, 2, 1]
    assert len(set(server.request_ids)) == 4


def test_no_spectra_have_no_scores(call: Call, server: FaultInjectingServer) -> None:
    scores = call(server.url, "score", some_spectra(0))
    assert server.paths == ["/model"]
    assert (len(scores), scores.model) == (0, some_model().identity)


def test_explanations_come_back_row_by_row(call: Call, server: FaultInjectingServer) -> None:
    spectra = some_spectra(6, bands=("b", "r", "z"))
    assert repr(call(server.url, "explain", spectra)) == repr(some_explanations(spectra))
    assert server.paths == ["/explain"]


@pytest.mark.usefixtures("small_chunks")
def test_many_spectra_are_explained_in_chunks_and_come_back_in_order(
    call: Call, server: FaultInjectingServer
) -> None:
    spectra = some_spectra(7)[np.random.default_rng(1).permutation(7)]
    finished: list[int] = []
    server.faults = [no_fault, failing(503, Retry_After="0"), hang_up]
    explanations = call(server.url, "explain", spectra, finished.append)
    assert repr(explanations) == repr(some_explanations(spectra))
    assert finished == server.explained == [2, 2, 2, 1]
    assert len(server.paths) == 6
    assert len(set(server.request_ids)) == 4


def test_no_spectra_have_no_explanations(call: Call, server: FaultInjectingServer) -> None:
    explanations = call(server.url, "explain", some_spectra(0))
    assert server.paths == ["/model"]
    assert (len(explanations), explanations.model) == (0, some_model().identity)


def test_a_petal_is_read_and_scored(
    call: Call, server: FaultInjectingServer, tmp_path: Path
) -> None:
    coadd = write_coadd(tmp_path / "coadd.fits", [5, 6, 7])
    redrock = write_redrock(tmp_path / "redrock.fits", [7, 5])
    scores = call(server.url, "score_petal", coadd, redrock)
    assert scores.targetid.tolist() == [7, 5]


def test_a_petal_is_sent_with_the_noise_of_its_sky_fibers(
    call: Call, server: FaultInjectingServer, tmp_path: Path
) -> None:
    sent: list[Spectra] = []

    def keep(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        sent.append(decode_request(body, int(handler.headers[HEADER_LENGTH])).spectra)
        return False

    server.faults = [keep]
    petal = write_petal(tmp_path)
    call(server.url, "score_petal", petal.coadd, petal.redrock)
    expected = correct_noise(read_spectra(petal.coadd, petal.redrock))
    assert expected.inputs.noise["SKYCORR"] is True
    for name, band in expected.bands.items():
        np.testing.assert_array_equal(sent[0].bands[name].ivar, band.folded().ivar)
        np.testing.assert_array_equal(sent[0].bands[name].flux, band.folded().flux)


def test_the_model_is_described(call: Call, server: FaultInjectingServer) -> None:
    assert call(server.url, "model").to_json() == some_model().to_json()


def test_health_is_one_request(call: Call, server: FaultInjectingServer) -> None:
    assert call(server.url, "health") is True
    server.faults = [failing(503)]
    assert call(server.url, "health") is False
    server.faults = [failing(503)]
    assert call(server.url, "why_not_ready") == "busy"
    assert call(server.url, "why_not_ready") is None
    assert server.paths == ["/readyz"] * 4


def test_health_of_another_server_is_an_error(call: Call, server: FaultInjectingServer) -> None:
    with pytest.raises(StatusError, match=r"404 .* as new as this client") as caught:
        call(server.url + "/elsewhere", "health")
    assert caught.value.status == 404


def test_the_token_is_sent(call: Call, server: FaultInjectingServer) -> None:
    call(server.url, "model", token="s3cret")
    call(server.url, "model")
    assert server.tokens == ["Bearer s3cret", None]


def test_a_path_in_the_address_is_kept_and_a_final_slash_dropped(
    call: Call, server: FaultInjectingServer
) -> None:
    call(server.url + "/", "model")
    with pytest.raises(StatusError):
        call(server.url + "/outliers/", "model")
    assert server.paths == ["/model", "/outliers/model"]


# --- retries


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_service_is_retried_with_the_same_id(
    call: Call, server: FaultInjectingServer, status: int
) -> None:
    server.faults = [failing(status, Retry_After="0"), failing(status)]
    spectra = some_spectra(2)
    assert_same(call(server.url, "score", spectra), some_scores(spectra))
    assert len(server.paths) == 3
    assert len(set(server.request_ids)) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 413, 415, 500, 501])
def test_other_errors_are_final(call: Call, server: FaultInjectingServer, status: int) -> None:
    server.faults = [failing(status, b'{"error": "flux_b has 3 pixels"}')]
    with pytest.raises(StatusError, match="flux_b has 3 pixels") as caught:
        call(server.url, "score", some_spectra(1))
    assert len(server.paths) == 1
    assert caught.value.status == status
    assert caught.value.request_id == server.request_ids[0]
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
    call: Call, server: FaultInjectingServer, status: int, kind: type[StatusError]
) -> None:
    server.faults = [failing(status)]
    with pytest.raises(kind):
        call(server.url, "model")


def test_a_pause_beyond_the_deadline_is_not_waited_for(
    call: Call, server: FaultInjectingServer
) -> None:
    server.faults = [failing(429, Retry_After="3600")]
    with pytest.raises(outcrop.RateLimited) as caught:
        call(server.url, "score", some_spectra(1))
    assert caught.value.retry_after == 3600
    assert len(server.paths) == 1


def test_a_call_ends_at_the_deadline_with_the_last_error(
    call: Call, server: FaultInjectingServer
) -> None:
    server.faults = [failing(503)] * 10_000
    with pytest.raises(ServerError, match="busy"):
        call(server.url, "model", timeout=0.3)
    assert 1 < len(server.paths) < 10_000


@pytest.mark.long
def test_an_error_of_the_service_is_raised_rather_than_a_later_timeout(
    call: Call, server: FaultInjectingServer
) -> None:
    server.faults = [failing(503, Retry_After="0"), server.hang]
    with pytest.raises(ServerError, match="busy"):
        call(server.url, "model", timeout=1.0)
    assert len(server.paths) == 2


@pytest.mark.long
@pytest.mark.usefixtures("small_chunks")
def test_one_deadline_holds_for_all_chunks(call: Call, server: FaultInjectingServer) -> None:
    server.faults = [no_fault, server.hang]
    with pytest.raises(Timeout):
        call(server.url, "score", some_spectra(3), timeout=1.0)
    assert server.sizes == [2]


def test_a_service_that_never_answers_is_a_timeout(
    call: Call, server: FaultInjectingServer
) -> None:
    server.faults = [server.hang]
    with pytest.raises(Timeout, match=r"no complete answer within 0.3 s") as caught:
        call(server.url, "model", timeout=0.3)
    assert caught.value.request_id == server.request_ids[0]


def drip(server: FaultInjectingServer, start: bytes, part: bytes) -> Fault:
    """Answer with a start, and then a part every 20 ms until the client gives up."""

    def fault(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        handler.close_connection = True
        handler.wfile.write(start)
        while not server.closing.wait(0.02):
            handler.wfile.write(part)
        return True

    return fault


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    ],
)
def test_a_service_that_answers_in_drips_is_a_timeout(
    call: Call, server: FaultInjectingServer, start: bytes, part: bytes
) -> None:
    server.faults = [drip(server, start, part)] * 9
    before = time.monotonic()
    with pytest.raises(Timeout, match="no complete answer"):
        call(server.url, "model", timeout=0.5)
    assert time.monotonic() - before < 5


@pytest.mark.long
def test_silence_after_a_part_ends_at_the_deadline_of_the_call(
    call: Call, server: FaultInjectingServer
) -> None:
    def silent(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        # Its end is later than the deadline by nearly the timeout, counted from the last byte.
        server.closing.wait(1.8)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        return server.closing.wait(20)

    server.faults = [silent]
    before = time.monotonic()
    with pytest.raises(Timeout):
        call(server.url, "model", timeout=2.0)
    assert time.monotonic() - before < 3.5


@pytest.mark.long
def test_a_service_that_reads_in_drips_is_a_timeout(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        over = threading.Event()

        def read() -> None:
            connection, _ = listener.accept()
            with connection:
                while not over.wait(0.1):
                    connection.recv(1 << 12)

        thread = threading.Thread(target=read)
        thread.start()
        before = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with pytest.raises(Timeout):
                call(url, "score", some_spectra(400, bands=("b", "r", "z")), timeout=1.5)
            assert time.monotonic() - before < 10
        finally:
            over.set()
            thread.join()


def test_a_redirect_is_not_followed(call: Call, server: FaultInjectingServer) -> None:
    server.faults = [failing(302, b"", Location=f"{server.url}/model")] * 100
    with pytest.raises(StatusError, match="answered 302"):
        call(server.url, "model")
    assert len(server.paths) == 1


def test_a_broken_connection_is_retried(call: Call, server: FaultInjectingServer) -> None:
    server.faults = [hang_up, hang_up]
    spectra = some_spectra(2)
    assert_same(call(server.url, "score", spectra), some_scores(spectra))
    assert len(server.paths) == 3


def test_an_address_without_a_service_is_given_up_after_5_tries(
    call: Call, closed_port: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "outcrop"),
        pytest.raises(ConnectionFailed, match="is the service running") as caught,
    ):
        call(closed_port, "model")
    assert caught.value.request_id
    assert caplog.text.count("next try") == 4


def test_health_of_an_address_without_a_service_is_an_error(call: Call, closed_port: str) -> None:
    with pytest.raises(ConnectionFailed, match=closed_port):
        call(closed_port, "health")


def test_the_transport_can_be_replaced(server: FaultInjectingServer) -> None:
    class Flaky(httpx2.HTTPTransport):
        left = 2

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            self.left -= 1
            if self.left >= 0:
                raise httpx2.ConnectError("unplugged")
            return super().handle_request(request)

    with Client(server.url, transport=Flaky()) as client:
        assert client.model().version == "20260101"


# --- answers that are not valid


def endless(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Answer without an end."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")


def long(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Announce an answer of a terabyte."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n[")
    return True


BOMB = gzip.compress(bytes(10_000_000))


def bomb(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Answer with a few bytes that unfold to many."""
    return reply(handler, 200, BOMB, Content_Encoding="gzip")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (endless, "more than 1[0-9]* bytes"),
        (long, "more than 1[0-9]* bytes"),
        (bomb, "compressed as 'gzip', which was not requested"),
    ],
)
@pytest.mark.parametrize("method", ["score", "explain", "model"])
def test_an_answer_is_never_longer_than_what_was_requested(
    call: Call, server: FaultInjectingServer, fault: Any, reason: str, method: str
) -> None:
    server.faults = [fault]
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match=reason):
            call(server.url, method, *([] if method == "model" else [some_spectra(1)]))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_an_endless_error_is_still_an_error(call: Call, server: FaultInjectingServer) -> None:
    def fault(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            handler.wfile.write(b"5\r\nsorry\r\n")

    server.faults = [fault]
    with pytest.raises(outcrop.BadRequest, match="sorrysorry"):
        call(server.url, "model")


@pytest.mark.parametrize(
    "fault",
    [answering(b"<html>Welcome</html>"), answering(b"not gzip", Content_Encoding="gzip")],
)
@pytest.mark.parametrize("method", ["score", "explain", "model"])
def test_an_answer_that_is_not_valid_is_refused(
    call: Call, server: FaultInjectingServer, fault: Any, method: str
) -> None:
    server.faults = [fault]
    arguments = [] if method == "model" else [some_spectra(1)]
    with pytest.raises(WireError, match="cannot be") as caught:
        call(server.url, method, *arguments)
    assert caught.value.request_id == server.request_ids[0]
    assert len(server.paths) == 1


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("method", ["score", "explain"])
def test_rows_of_two_models_are_never_joined(
    call: Call, server: FaultInjectingServer, method: str
) -> None:
    def upgrade(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        server.model = dataclasses.replace(some_model(), version="20260202")
        return False

    server.faults = [no_fault, upgrade]
    with pytest.raises(ModelChanged, match=r"changed its model from .* to outcrop 20260202"):
        call(server.url, method, some_spectra(3))


def test_scores_know_their_redshifts_and_the_bins_of_reconstructions(
    call: Call, server: FaultInjectingServer
) -> None:
    spectra = some_spectra(3)
    for reconstruction in (False, True):
        scores = call(server.url, "score", spectra, reconstruction)
        np.testing.assert_array_equal(scores.z, spectra.z)
        assert (scores.rest_wave is not None) == reconstruction
    np.testing.assert_array_equal(scores.rest_wave, some_model().wave)
    assert scores.plot(1).axes

    server.model = dataclasses.replace(some_model(), wave=np.arange(5.0))
    with pytest.raises(WireError, match="do not have the 5 bins of outcrop 20260101"):
        call(server.url, "score", spectra, True)


def test_address_and_token_are_those_of_the_environment_unless_given(
    call: Call, server: FaultInjectingServer, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_URL", server.url)
    monkeypatch.setenv("OUTCROP_TOKEN", "s3cret")
    assert call(None, "health")
    monkeypatch.setenv("OUTCROP_URL", closed_port)
    assert call(server.url, "health", token="other")
    assert server.tokens == ["Bearer s3cret", "Bearer other"]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_arguments_that_cannot_be_used_are_refused(kind: Any) -> None:
    with pytest.raises(InputError, match="url is 'nowhere'"):
        kind("nowhere")
    with pytest.raises(InputError, match="timeout is 0"):
        kind(timeout=0)
