"""Server: a process that serves a bundle while a context is open.

There are three servers: this project's service, a bare BentoML service, and MLServer in an
environment of its own. All serve the same scorer.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from .memory import peak_bytes
from .workload import ROOT

MLSERVER = ROOT / ".cache" / "bench"
"""MLServer's environment, made by `make bench`."""
_STARTUP_SECONDS = 120
_SHUTDOWN_SECONDS = 60


@dataclass(frozen=True)
class ServerProcess:
    """A running server.

    Attributes
    ----------
    url : str
    grpc : str
        Address for gRPC; empty if the server has none.
    process : psutil.Process
        The process that was started; its children score.
    """

    url: str
    grpc: str
    process: psutil.Process

    def peak_bytes(self) -> int:
        """Return the peak resident memory of the largest of its processes."""
        return max(
            peak_bytes(each.pid) for each in (self.process, *self.process.children(recursive=True))
        )


@contextmanager
def outcrop(bundle: Path, log: Path) -> Iterator[ServerProcess]:
    """Serve with this project's service."""
    with _serve_bentoml("service.app:OutlierService", bundle, log) as server:
        yield server


@contextmanager
def bentoml(bundle: Path, log: Path) -> Iterator[ServerProcess]:
    """Serve with a bare BentoML service."""
    with _serve_bentoml("benchmarks.bentoml_service:NdarrayService", bundle, log) as server:
        yield server


@contextmanager
def mlserver(bundle: Path, log: Path) -> Iterator[ServerProcess]:
    """Serve with MLServer."""
    command = MLSERVER / "bin" / "mlserver"
    if not command.exists():
        raise FileNotFoundError(f"{command} is missing; `make bench` makes its environment")

    http, grpc, metrics = (_free_port() for _ in range(3))
    folder = log.with_suffix("")
    folder.mkdir()
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "grpc_max_message_length": -1,
        # One process, as for the other two: a second one would copy the input.
        "parallel_workers": 0,
        "debug": False,
    }
    model = {
        "name": "outcrop",
        "implementation": "benchmarks.mlserver_runtime.Runtime",
        "parameters": {"uri": str(bundle)},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))

    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python' / 'src'}"}
    url = f"http://127.0.0.1:{http}"
    with _running(
        [str(command), "start", str(folder)], environment, f"{url}/v2/models/outcrop/ready", log
    ) as process:
        yield ServerProcess(url, f"127.0.0.1:{grpc}", process)


@contextmanager
def _serve_bentoml(service: str, bundle: Path, log: Path) -> Iterator[ServerProcess]:
    port = _free_port()
    command = [sys.executable, "-m", "bentoml", "serve", service]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with _running(command, {"OUTCROP_MODEL": str(bundle)}, f"{url}/readyz", log) as process:
        yield ServerProcess(url, "", process)


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], ready: str, log: Path
) -> Iterator[psutil.Process]:
    with log.open("w") as output:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(started, ready, log)
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(_SHUTDOWN_SECONDS)


def _wait(started: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline and started.poll() is None:
        try:
            if httpx2.get(ready).status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"{ready} did not return 200; see {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
