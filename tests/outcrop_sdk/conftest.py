"""The server of the tests of client, night and command line, and clients without real waits."""

import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.outcrop_sdk.fault_server import FaultInjectingServer


@pytest.fixture
def server() -> Iterator[FaultInjectingServer]:
    with FaultInjectingServer() as server:
        yield server


@pytest.fixture
def closed_port() -> Iterator[str]:
    # Bound but not listening: no other process gets it, and every connection is refused.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OUTCROP_URL", "OUTCROP_TOKEN", "DESI_LOGLEVEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client wait milliseconds, not seconds, between tries."""
    monkeypatch.setattr("outcrop._http.retries.FIRST_WAIT", 0.005)
    monkeypatch.setattr("outcrop._http.retries.JITTER", 0.005)


@pytest.fixture
def short_night_retries(monkeypatch: pytest.MonkeyPatch, short_waits: None) -> None:
    """Let a night retry for a fraction of a second, not for minutes."""
    monkeypatch.setattr("outcrop.night.retries.NIGHT_RETRY_SECONDS", 0.3)
    monkeypatch.setattr("outcrop.night.run.NIGHT_RETRY_SECONDS", 0.3)
    monkeypatch.setattr("outcrop.night.run.ROLLOUT_PAUSE", 0.05)


@pytest.fixture(autouse=True, scope="module")
def one_tls_context() -> Iterator[None]:
    """Load the certificates once: it takes 50 ms for each client, and no test uses TLS."""
    context = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_, **__: context)
        yield
