"""The service in the process of the tests, and served by BentoML as users start it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from starlette.testclient import TestClient

from model_store.bundle import Bundle
from scoring.scorer import Scorer
from service.application import Application
from service.settings import Settings
from tests.service.helpers import FaultyScorer, client_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def scorer(bundle: Path) -> Scorer:
    return Scorer(Bundle.open(bundle), threads=1)


@pytest.fixture
def faulty_scorer(bundle: Path) -> Iterator[FaultyScorer]:
    scorer = FaultyScorer(Bundle.open(bundle))
    yield scorer
    scorer.resume()


@pytest.fixture(scope="session")
def client(bundle: Path, scorer: Scorer) -> Iterator[TestClient]:
    """A client of an application with default settings, shared by the tests that count nothing."""
    application = Application(Settings(model=str(bundle)), Bundle.open(bundle), scorer)
    yield client_of(application)
    application.close()


@pytest.fixture
def make_application(bundle: Path, scorer: Scorer) -> Iterator[Callable[..., Application]]:
    """A function that makes applications with settings, and a scorer, of choice."""
    made: list[Application] = []

    def make(scorer: Scorer = scorer, **settings: Any) -> Application:
        opened = Bundle.open(bundle)
        made.append(Application(Settings(model=str(bundle), **settings), opened, scorer))
        return made[-1]

    yield make
    for each in made:
        each.close()


@dataclass(frozen=True)
class ServedProcess:
    """A process of `bentoml serve`.

    Attributes
    ----------
    process : Popen
    url : str
    log : Path
    proxied : list
        Connections to other machines that it tried.
    """

    process: subprocess.Popen[str]
    url: str
    log: Path
    proxied: list[object]

    @property
    def worker(self) -> psutil.Process:
        """Its worker."""
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def stop(self) -> int:
        """Stop it as an operator does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def wait_until_ready(self) -> None:
        """Wait until it answers that it is ready; fail if it ends before."""
        wait_until_ready(self.process, self.url, self.log)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines that it has printed; each must be a JSON object with these fields."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        for line in lines:
            assert {"time", "level", "logger", "message"} <= line.keys()
        return lines


def wait_until_ready(process: "subprocess.Popen[Any]", url: str, log: Path) -> None:
    """Wait until a service answers that it is ready; fail if its process ends before."""
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            if httpx2.get(f"{url}/readyz").status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the service did not become ready:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def starting(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int,
    descriptors: str | None = None,
    **variables: str,
) -> Iterator[ServedProcess]:
    """Run `bentoml serve` as a user does, with only these variables set.

    With `descriptors`, the process may not open more files and connections than that.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OUTCROP_", "BENTOML_DO_NOT", "ORT_", "PROMETHEUS_"))
    }

    log = folder / "serve.log"
    limit = [] if descriptors is None else ["prlimit", f"--nofile={descriptors}"]
    arguments = ["service.app:OutlierService", "--host", host, "--port", str(port)]
    with log.open("w") as output, proxy() as (address, proxied):
        own = {name: address for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
        own["BENTOML_HOME"] = str(folder / "bentoml")

        process = subprocess.Popen(
            [*limit, str(Path(sys.executable).with_name("bentoml")), "serve", *arguments],
            cwd=ROOT,
            env=kept | own | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield ServedProcess(process, f"http://127.0.0.1:{port}", log, proxied)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)


@contextmanager
def serving(
    folder: Path, *, host: str = "127.0.0.1", descriptors: str | None = None, **variables: str
) -> Iterator[ServedProcess]:
    """Run `bentoml serve` until it is ready."""
    with starting(
        folder, host=host, port=free_port(), descriptors=descriptors, **variables
    ) as served:
        served.wait_until_ready()
        yield served


@contextmanager
def proxy() -> Iterator[tuple[str, list[object]]]:
    """Listen as a proxy that closes every connection; yield its address and the connections."""
    connections: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = listener.accept()
                    connection.close()
                    connections.append(address)

        threading.Thread(target=listen, daemon=True).start()
        yield "http://{}:{}".format(*listener.getsockname()), connections
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def served(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    """The bundle served by `bentoml serve`, to all addresses; no test may harm it."""
    with serving(
        tmp_path_factory.mktemp("served"),
        host="0.0.0.0",  # noqa: S104
        OUTCROP_MODEL=str(bundle),
        # BentoML prints what it would report.
        __BENTOML_DEBUG_USAGE="True",
    ) as process:
        yield process
