"""What the tests of the service share: spectra, requests, faults, and the one shape of an error."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import uvicorn
from starlette.testclient import TestClient

from model_store.bundle import Bundle
from outcrop import Band, Scores, Spectra
from outcrop.spectra import CAMERAS, WAVE
from scoring.scorer import Scorer
from scoring.stage_timer import Observe
from service.application import Application
from service.http import listener

URL = "http://127.0.0.1"
INFER = "/v2/models/outcrop/infer"
JSON = {"Content-Type": "application/json"}


def assert_error(response: Any, status: int, *words: str) -> str:
    """Assert that a response is an error of this status with these words; return its message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    content = response.json()
    assert sorted(content) == ["error", "request_id"]
    assert content["request_id"] == response.headers["x-request-id"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", content["request_id"])
    for word in words:
        assert word in content["error"]
    return content["error"]


def make_spectra(
    count: int, names: tuple[str, ...] = CAMERAS, *, seed: int = 1, targetid: int = 1000
) -> Spectra:
    """Return spectra with a smooth continuum and noise of S/N about 10."""
    rng = np.random.default_rng(seed)
    slopes = rng.uniform(-1, 1, (count, 1))
    bands: dict[str, Band] = {}
    for name in names:
        noise = rng.normal(0, 1, (count, len(WAVE[name])))
        flux = 10 + slopes * (WAVE[name] - 6700) / 3000 + noise
        bands[name] = Band(flux.astype(np.float32), np.ones(flux.shape, np.float32))
    z = rng.uniform(0.02, 0.28, count)
    return Spectra(bands, z=z, targetid=targetid + np.arange(count))


def pixels(spectra: Spectra, name: str, row: int) -> dict[str, Any]:
    """Return one band of one spectrum as a JSON object."""
    return {
        "wavelength": [round(float(w), 1) for w in WAVE[name]],
        "flux": spectra.bands[name].flux[row].tolist(),
        "ivar": spectra.bands[name].ivar[row].tolist(),
    }


def score_request(spectra: Spectra, **fields: Any) -> dict[str, Any]:
    """Return the body of `POST /score` as an object."""
    rows: list[dict[str, Any]] = []
    for row in range(len(spectra)):
        z = float(spectra.z[row])
        bands = {name: pixels(spectra, name, row) for name in spectra.bands}
        layout = bands.get("brz", {"cameras": bands})
        rows.append({"targetid": str(spectra.targetid[row]), "z": z, **layout})
    return {"spectra": rows, **fields}


def encoded(content: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(content, separators=(",", ":")).encode()


def client_of(application: Application, url: str = URL) -> TestClient:
    """Return a client of an application; the host of the URL is where requests arrive."""
    return TestClient(application.http, base_url=url)


@contextmanager
def listening(application: Application) -> Iterator[int]:
    """Run a real HTTP server for an application in a thread; yield its port."""
    # With the protocol named, asyncio switches off Nagle's algorithm, as in a served process.
    server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    server_socket.bind(("127.0.0.1", 0))
    listener.install()
    config = uvicorn.Config(application.http, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [server_socket]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server_socket.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        server_socket.close()


class FaultyScorer(Scorer):
    """The scorer of a bundle, with faults to inject; without any it is a Scorer.

    Attributes
    ----------
    calls : int
        Calls of `score` so far.
    error : Exception or None
        Raised in place of scores.
    wmse_factor : float
        Multiplies every wmse.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle, threads=1)
        self.calls = 0
        self.error: Exception | None = None
        self.wmse_factor = 1.0
        self._running = threading.Event()
        self._running.set()

    def pause(self) -> None:
        """Let every call wait until `resume`."""
        self._running.clear()

    def resume(self) -> None:
        """Let all calls go on."""
        self._running.set()

    def score(
        self, spectra: Spectra, *, reconstruction: bool = False, observe: Observe | None = None
    ) -> Scores:
        self.calls += 1
        self._running.wait()
        if self.error is not None:
            raise self.error
        scores = super().score(spectra, reconstruction=reconstruction, observe=observe)
        return replace(scores, wmse=scores.wmse * np.float32(self.wmse_factor))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; the test's own time limit ends a wait in vain."""
    while not condition():
        time.sleep(0.005)
