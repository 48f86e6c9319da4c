"""The server of the tests of client, night and command line, and clients without real waits."""

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.outcrop_sdk.fault_server import FaultInjectingServer
from tests.outcrop_sdk.file_server import FileServer


@pytest.fixture
def server() -> Iterator[FaultInjectingServer]:
    with FaultInjectingServer() as server:
        yield server


@pytest.fixture
def files() -> Iterator[FileServer]:
    """A server of files, over HTTP."""
    with FileServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, bytes], str]]:
    """A function that puts an object into a public bucket and returns its address."""
    import boto3

    from outcrop._remote import s3_source

    session = boto3.Session("test", "test", region_name="us-east-1")
    client: Any = session.client("s3", endpoint_url=s3_server)
    client.create_bucket(Bucket="desidata", ACL="public-read")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    s3_source._file_system.cache_clear()

    def put(key: str, content: bytes) -> str:
        client.put_object(Bucket="desidata", Key=key, Body=content, ACL="public-read")
        return f"s3://desidata/{key}"

    yield put
    s3_source._file_system.cache_clear()


@pytest.fixture
def closed_port() -> Iterator[str]:
    # Bound but not listening: no other process gets it, and every connection is refused.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = (f"OUTCROP_REMOTE_{each}" for each in ("CACHE", "GIB", "CONNECTIONS"))
    for name in ("OUTCROP_URL", "OUTCROP_TOKEN", "DESI_LOGLEVEL", *remote):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client wait milliseconds, not seconds, between tries."""
    monkeypatch.setattr("outcrop._http.retries.FIRST_WAIT", 0.005)
    monkeypatch.setattr("outcrop._http.retries.JITTER", 0.005)
    monkeypatch.setattr("outcrop._remote.requests.FIRST_WAIT", 0.005)
    monkeypatch.setattr("outcrop._remote.requests.JITTER", 0.005)


@pytest.fixture
def short_night_retries(monkeypatch: pytest.MonkeyPatch, short_waits: None) -> None:
    """Let a night retry for a fraction of a second, not for minutes."""
    monkeypatch.setattr("outcrop.night.retries.NIGHT_RETRY_SECONDS", 0.3)
    monkeypatch.setattr("outcrop.night.run.NIGHT_RETRY_SECONDS", 0.3)
    monkeypatch.setattr("outcrop.night.run.ROLLOUT_PAUSE", 0.05)


@pytest.fixture(autouse=True, scope="module")
def one_tls_context() -> Iterator[None]:
    """Load the certificates once: it takes 50 ms for each client, and hardly any test uses TLS."""
    context = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", lambda *_, **__: context)
        yield
