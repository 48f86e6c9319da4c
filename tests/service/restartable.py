"""The service process that users start; it can be killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.service.conftest import ROOT, free_port, wait_until_ready


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
        wait_until_ready(self._process, self.url, self._log)

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
