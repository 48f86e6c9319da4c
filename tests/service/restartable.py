"""The service process that users start; it can be killed and started again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.service.conftest import ROOT, free_port


class RestartableService:
    """`bentoml serve` with a bundle, always on the same port.

    Attributes
    ----------
    url : str
    """

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = folder / "serve.log"
        self._environment = os.environ | {
            "OUTCROP_MODEL": str(bundle),
            "BENTOML_HOME": str(folder / "bentoml"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        bentoml = Path(sys.executable).with_name("bentoml")
        address = ["--host", "127.0.0.1", "--port", self.url.rpartition(":")[2]]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [bentoml, "serve", "service.app:OutlierService", *address],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            if self._process.poll() is not None:
                break
            try:
                if httpx2.get(f"{self.url}/readyz").status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail(f"the service did not become ready:\n{self._log.read_text()}")

    def kill(self) -> None:
        """End the process and its workers as the kernel does where memory runs out."""
        assert self._process is not None
        workers = psutil.Process(self._process.pid).children(recursive=True)
        # The supervisor first, or it would start another worker.
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers)

    def stop(self) -> None:
        """End the process as an operator does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)
