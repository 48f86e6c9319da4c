"""Service, Prometheus and Alertmanager together, with an hour scaled to a minute.

`make test-monitoring` runs this; it is too long for `make test`. The service scores petals of
inliers, then petals with a tilted continuum in one camera, then inliers again.
"""

import json
import math
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path

import httpx2
import pytest
import yaml

from deploy.grafana.dashboard import RATE, WINDOW, expressions
from deploy.prometheus.render import render
from outcrop import Band, Client, Spectra, find_petals, read_spectra
from outcrop.spectra import WAVE
from tests.conftest import run
from tests.service.conftest import free_port, serving

SCALE = 1 / 60
PETALS = 2
# Relative, at the ends of the camera.
TILT = 0.5
# Between two petals: about 30 petals in a scaled hour, as in a night.
PAUSE_SECONDS = 1
ALERTS = {"OutcropAnomalyShare", "OutcropDrift"}
PROGRAMS = ("prometheus", "prometheus-alertmanager")
_MISSING = [name for name in PROGRAMS if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(
        bool(_MISSING), reason=f"no {' and no '.join(_MISSING)}: install Debian's packages"
    ),
    # The test takes three minutes on an idle machine.
    pytest.mark.timeout(600),
]


@dataclass(frozen=True)
class Webhook:
    """Receives the notifications of Alertmanager, on loopback."""

    url: str
    received: list[tuple[str, str]]
    """Status and name of each alert, in order."""

    def names(self, status: str) -> set[str]:
        """Return the alerts received with a status, firing or resolved."""
        return {name for sent, name in self.received if sent == status}


@contextmanager
def webhook() -> Iterator[Webhook]:
    received: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.extend((a["status"], a["labels"]["alertname"]) for a in content["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Do not log requests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Webhook(f"http://127.0.0.1:{server.server_port}/", received)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running(folder: Path, port: int, *command: str) -> Iterator[str]:
    """Run Prometheus or Alertmanager; yield its URL once it is ready."""
    url = f"http://127.0.0.1:{port}"
    log = folder / f"{command[0]}.log"
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while not _is_ready(url):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready").is_success
    except httpx2.TransportError:
        return False


@contextmanager
def alertmanager(folder: Path, hook: Webhook) -> Iterator[str]:
    waits = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    content = {
        "route": {"receiver": "hook", "group_by": ["alertname"], **waits},
        "receivers": [{"name": "hook", "webhook_configs": [{"url": hook.url}]}],
    }
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(content))
    command = (
        "prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        "--cluster.listen-address=",
    )
    with running(folder, free_port(), *command) as url:
        yield url


@contextmanager
def prometheus(folder: Path, service: str, alerts: str) -> Iterator[str]:
    (folder / "rules.yaml").write_text(render(SCALE))

    def targets(url: str) -> list[dict[str, list[str]]]:
        return [{"targets": [url.removeprefix("http://")]}]

    content = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "outcrop", "static_configs": targets(service)}],
        "alerting": {"alertmanagers": [{"static_configs": targets(alerts)}]},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(content))
    command = (
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus",
        "--rules.alert.resend-delay=1s",
    )
    with running(folder, free_port(), *command) as url:
        yield url


def query(prometheus: str, expr: str) -> list[float]:
    """Return the values of an expression now."""
    answer = httpx2.get(f"{prometheus}/api/v1/query", params={"query": expr})
    assert answer.is_success, f"{expr}: {answer.text}"
    return [float(sample["value"][1]) for sample in answer.json()["data"]["result"]]


def without_data(prometheus: str) -> set[str]:
    """Return the names of the panels' expressions that have no finite value now.

    Those of a night are left out: `outcrop night` writes them, and not the service; and those of
    causes: nothing is explained here.
    """
    spans = {RATE: "10s", WINDOW: "1m"}
    empty: set[str] = set()
    for name, expr in expressions().items():
        if name.startswith("The night: ") or "Instrumental causes: " in name:
            continue
        for variable, span in spans.items():
            expr = expr.replace(variable, span)
        if not any(math.isfinite(value) for value in query(prometheus, expr)):
            empty.add(name)
    return empty


def summary(prometheus: str) -> str:
    """Return anomaly share and drift of the last hour, as recorded by the rules."""
    (share,) = query(prometheus, 'outcrop:flagged:ratio{flag="anomaly"}')
    drift = max(query(prometheus, "outcrop:latent_psi:sum"))
    return f"{share:.1%} are anomalies, the largest population stability index is {drift:.3f}"


@pytest.fixture(scope="module")
def inliers(tmp_path_factory: pytest.TempPathFactory) -> list[Spectra]:
    """Petals of another seed than the model's."""
    folder = tmp_path_factory.mktemp("sky")
    done = run("-m", "training", "simulate", folder, "--petals", str(PETALS), "--seed", "5")
    assert done.returncode == 0, done.stderr
    return [read_spectra(petal.coadd, petal.redrock) for petal in find_petals(folder)]


def tilted(spectra: Spectra) -> Spectra:
    """Return spectra whose continuum is tilted in camera r."""
    wave, band = WAVE["r"], spectra.bands["r"]
    ramp = (1 + TILT * (2 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1)).astype("f4")
    return replace(
        spectra,
        bands={**spectra.bands, "r": Band(band.flux * ramp, band.ivar / ramp**2, band.mask)},
    )


def test_alerts_fire_for_a_tilted_continuum_and_resolve_after_it(
    bundle: Path, inliers: list[Spectra], tmp_path: Path
) -> None:
    started = time.monotonic()

    def log(text: str) -> None:
        print(f"{time.monotonic() - started:4.0f} s  {text}")  # noqa: T201

    def send(petals: Iterable[Spectra], until: Callable[[], bool]) -> None:
        sent = 0
        for petal in cycle(petals):
            client.score(petal)
            sent += 1
            if until():
                break
            time.sleep(PAUSE_SECONDS)
        log(f"{sent} petals; received so far: {hook.received}")

    with (
        webhook() as hook,
        serving(tmp_path, OUTCROP_MODEL=str(bundle), OUTCROP_CANARY_SECONDS="2") as served,
        alertmanager(tmp_path, hook) as alerts,
        prometheus(tmp_path, served.url, alerts) as monitor,
        Client(served.url) as client,
    ):
        log("all are ready")
        # The drift is recorded last: the other series exist by then.
        send(inliers, until=lambda: bool(query(monitor, "outcrop:latent_psi:sum")))
        send(inliers, until=lambda: not without_data(monitor))
        log("all expressions of the dashboard have data")
        log(f"inliers: {summary(monitor)}")
        assert not hook.names("firing") & ALERTS

        send([tilted(petal) for petal in inliers], until=lambda: hook.names("firing") >= ALERTS)
        log(f"tilted: {summary(monitor)}")
        assert not hook.names("resolved") & ALERTS

        send(inliers, until=lambda: hook.names("resolved") >= ALERTS)
        assert not without_data(monitor)
