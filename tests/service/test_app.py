"""The service as users start it: `bentoml serve`, with nothing but its model set."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest
from bentoml.exceptions import BentoMLException

from model_store.bundle import Bundle
from outcrop.wire import decode_response, encode_request
from scoring.scorer import Scorer
from tests.service.conftest import ServedProcess, free_port, serving, starting
from tests.service.helpers import (
    INFER,
    JSON,
    assert_error,
    encoded,
    make_spectra,
    score_request,
    wait_for,
)

pytestmark = pytest.mark.long


def test_without_a_model_it_does_not_start_and_says_how_to_set_it(tmp_path: Path) -> None:
    with starting(tmp_path, port=free_port()) as served:
        assert served.process.wait(timeout=60) == 1
    (line,) = served.lines()
    assert line["level"] == "error"
    assert "OUTCROP_MODEL is not set; set it to a bundle's folder or to a tag" in line["message"]


def test_a_host_that_is_no_address_is_one_line(bundle: Path, tmp_path: Path) -> None:
    with starting(
        tmp_path, host="localhost", port=free_port(), OUTCROP_MODEL=str(bundle)
    ) as served:
        assert served.process.wait(timeout=120) == 1
    (line,) = served.lines()
    assert "Invalid host IP address: localhost" in line["message"]


@pytest.fixture
def check() -> Callable[[], None]:
    """What `bentoml serve` runs before it starts a process."""
    with warnings.catch_warnings():
        # BentoML itself uses what its dependencies have deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        from service.app import check
    return check


def test_a_damaged_bundle_is_rejected_by_the_name_of_its_file(
    check: Callable[[], None], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle, damaged)
    monkeypatch.setenv("OUTCROP_MODEL", str(damaged))
    with (damaged / "density.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BentoMLException, match=r"density\.npz has \d+ bytes") as raised:
        check()
    assert "\n" not in str(raised.value)


def test_a_wrong_setting_is_rejected_by_name(
    check: Callable[[], None], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_MODEL", str(bundle))
    monkeypatch.setenv("OUTCROP_TOKENS_FILE", str(tmp_path / "absent"))
    with pytest.raises(BentoMLException, match="OUTCROP_TOKENS_FILE: "):
        check()


def test_a_wrong_label_is_rejected_with_its_line(
    check: Callable[[], None], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("TARGETID,LABEL\nM31,galaxy\n")
    monkeypatch.setenv("OUTCROP_MODEL", str(bundle))
    monkeypatch.setenv("OUTCROP_LABELS_FILE", str(labels))
    with pytest.raises(BentoMLException, match=r"OUTCROP_LABELS_FILE: .*labels\.csv, line 2: "):
        check()


def test_both_interfaces_answer_with_the_models_scores(
    served: ServedProcess, scorer: Scorer
) -> None:
    spectra = make_spectra(3)
    expected = scorer.score(spectra)
    headers, body = encode_request(spectra)
    binary = httpx2.post(served.url + INFER, content=body, headers=headers)
    length = int(binary.headers["inference-header-content-length"])
    np.testing.assert_allclose(
        decode_response(binary.content, length).wmse, expected.wmse, rtol=1e-5
    )
    text = httpx2.post(served.url + "/score", content=encoded(score_request(spectra)), headers=JSON)
    rows = text.json()["scores"]
    np.testing.assert_allclose([row["wmse"] for row in rows], expected.wmse, rtol=1e-5)


def test_bentomls_own_pages_and_errors_are_not_served(served: ServedProcess) -> None:
    for path in ("/", "/docs.json", "/schema.json", "/healthz", "/static_content/swagger.js"):
        assert_error(httpx2.get(served.url + path), 404, "nothing is at")
    pickled = {"Content-Type": "application/vnd.bentoml+pickle"}
    assert_error(httpx2.post(f"{served.url}/score", content=b"x", headers=pickled), 415)
    # BentoML's own metrics would have a series for every path that was ever requested.
    page = httpx2.get(f"{served.url}/metrics").text
    assert page.startswith("# HELP")
    assert "docs.json" not in page
    assert "bentoml" not in page


def test_every_line_is_json(served: ServedProcess) -> None:
    httpx2.get(f"{served.url}/nowhere", headers={"X-Request-ID": "find-me"})
    wait_for(lambda: "find-me" in served.log.read_text())
    lines = served.lines()
    (found,) = [line for line in lines if line.get("request_id") == "find-me"]
    assert (found["route"], found["code"]) == ("unknown", 404)
    messages = [line["message"] for line in lines]
    assert "Starting production HTTP BentoServer" in messages[0]
    assert "ready" in messages


def test_the_model_and_the_ready_line_tell_the_versions_of_the_bundle_and_of_the_service(
    served: ServedProcess, bundle: Path
) -> None:
    made_with = Bundle.open(bundle).manifest.packages
    answer = httpx2.get(f"{served.url}/model").json()
    assert answer["bundle_packages"] == made_with
    assert answer["population"] == "BGS"
    assert answer["noise_correction"] is True
    (ready,) = [line for line in served.lines() if line["message"] == "ready"]
    assert ready["packages"] == {
        name: {"bundle": made_with[name], "running": version(name)}
        for name in ("onnxruntime", "numba")
    }


def test_nothing_is_reported_to_other_machines(served: ServedProcess) -> None:
    # BentoML prints what it would send.
    assert "Tracking" not in served.log.read_text()
    assert served.proxied == []


def test_importing_the_service_switches_telemetry_off() -> None:
    code = (
        "from bentoml._internal.utils.analytics import usage_stats\n"
        "assert not usage_stats.do_not_track()\n"
        "import os, sys, service\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        "assert usage_stats.do_not_track()\n"
    )
    unset = ("BENTOML_DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    subprocess.run([sys.executable, "-c", code], env=kept, check=True, timeout=60)


def refuses(served: ServedProcess) -> bool:
    """Whether a new connection is refused; one that is made must be answered."""
    try:
        httpx2.get(f"{served.url}/livez")
    except httpx2.ConnectError:
        return True
    return False


def test_after_sigterm_the_port_is_closed_and_requests_in_flight_are_answered(
    bundle: Path, tmp_path: Path
) -> None:
    spectra = make_spectra(300)
    headers, body = encode_request(spectra)
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served:
        half_sent = threading.Semaphore(0)
        port_closed = threading.Event()

        def halves(size: int = len(body) // 2) -> Iterator[bytes]:
            yield body[:size]
            half_sent.release()
            assert port_closed.wait(timeout=60)
            yield body[size:]

        with ThreadPoolExecutor(3) as callers:
            length = {"Content-Length": str(len(body))}
            answers = [
                callers.submit(
                    httpx2.post, served.url + INFER, content=halves(), headers=headers | length
                )
                for _ in range(3)
            ]
            for _ in answers:
                half_sent.acquire()
            served.process.terminate()
            wait_for(lambda: refuses(served))
            assert not any(answer.done() for answer in answers)

            port_closed.set()
            for answer in answers:
                assert answer.result().status_code == 200
                assert len(answer.result().content) > 300
        assert served.process.wait(timeout=60) == 0
        assert "stopped" in [line["message"] for line in served.lines()]
        assert not [line for line in served.lines() if line["level"] != "info"]
        # BentoML and onnxruntime, whose variables were not set, have reported nothing.
        assert served.proxied == []


def own_address() -> str:
    """Return an address of this machine that is not loopback."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    pytest.skip("this machine has no address but loopback")


def test_served_to_all_addresses_it_rejects_requests_without_a_token(
    served: ServedProcess,
) -> None:
    address = own_address()
    url = served.url.replace("127.0.0.1", address)
    with httpx2.Client(trust_env=False) as client:
        assert_error(client.get(f"{url}/model"), 401, address, "OUTCROP_TOKENS_FILE")
        headers, body = encode_request(make_spectra(1))
        assert_error(client.post(url + INFER, content=body, headers=headers), 401)
        for path in ("/livez", "/readyz", "/metrics"):
            assert client.get(url + path).is_success
        assert client.get(f"{served.url}/model").is_success


def test_without_tokens_it_rejects_what_a_web_page_sends(served: ServedProcess) -> None:
    with httpx2.Client(base_url=served.url, trust_env=False) as client:
        # A name made to resolve to 127.0.0.1, and a form on another site's page.
        rebound = {"Host": "evil.example:3000", "Origin": "http://evil.example:3000"}
        assert_error(client.get("/model", headers=rebound), 403, "OUTCROP_ALLOWED_HOSTS")
        headers, body = encode_request(make_spectra(1))
        foreign = headers | {"Origin": "https://evil.example"}
        assert_error(client.post(INFER, content=body, headers=foreign), 403, "another site")
        same = headers | {"Origin": served.url}
        assert client.post(INFER, content=body, headers=same).is_success
