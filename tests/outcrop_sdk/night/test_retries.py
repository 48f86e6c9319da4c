"""A night's requests are retried for minutes, each by itself, until the night is stopped."""

import threading
from collections.abc import Iterator

import pytest

from outcrop import BadRequest, Client, RateLimited, ServerError
from outcrop.night.retries import RetryingClient
from tests.outcrop_sdk.fault_server import FaultInjectingServer, failing, no_fault
from tests.outcrop_sdk.sample import some_scores, some_spectra

BUSY = failing(429, Retry_After="0")


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def client(server: FaultInjectingServer, stop: threading.Event) -> Iterator[RetryingClient]:
    with Client(server.url, timeout=5) as client:
        yield RetryingClient(client, stop)


@pytest.mark.usefixtures("short_waits")
def test_a_request_is_retried_for_longer_than_a_call(
    server: FaultInjectingServer, client: RetryingClient
) -> None:
    server.faults = [BUSY] * 9
    spectra = some_spectra(2)
    assert client.score(spectra).targetid.tolist() == some_scores(spectra).targetid.tolist()
    assert len(server.paths) == 10


@pytest.mark.usefixtures("short_waits")
def test_a_finished_chunk_is_not_scored_again(
    server: FaultInjectingServer, client: RetryingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._http.inference.CHUNK", 2)
    server.faults = [no_fault, BUSY, BUSY]
    assert client.score(some_spectra(5)).targetid.tolist() == [1, 2, 3, 4, 5]
    assert server.sizes == [2, 2, 1]
    assert len(server.paths) == 5


@pytest.mark.usefixtures("short_waits")
def test_the_timeout_is_for_each_try(server: FaultInjectingServer, stop: threading.Event) -> None:
    server.faults = [server.hang]
    with Client(server.url, timeout=0.3) as client:
        assert RetryingClient(client, stop).model().version == "20260101"
    assert len(server.paths) == 2


@pytest.mark.usefixtures("short_night_retries")
def test_a_service_that_stays_away_is_given_up(
    server: FaultInjectingServer, client: RetryingClient
) -> None:
    server.faults = [BUSY] * 10_000
    with pytest.raises(RateLimited, match="busy"):
        client.model()
    assert 2 < len(server.paths) < 10_000


def test_nothing_is_retried_once_the_night_is_stopped(
    server: FaultInjectingServer, client: RetryingClient, stop: threading.Event
) -> None:
    stop.set()
    server.faults = [failing(503, Retry_After="99")]
    with pytest.raises(ServerError, match="answered 503"):
        client.score(some_spectra(1))
    assert len(server.paths) == 1


def test_a_refused_request_is_not_retried(
    server: FaultInjectingServer, client: RetryingClient
) -> None:
    server.faults = [failing(400)]
    with pytest.raises(BadRequest):
        client.score(some_spectra(1))
    assert len(server.paths) == 1


def test_readiness_is_one_request(server: FaultInjectingServer, client: RetryingClient) -> None:
    server.faults = [no_fault, failing(503), failing(500)]
    assert [client.is_ready() for _ in range(3)] == [True, False, False]
    assert server.paths == ["/readyz"] * 3
