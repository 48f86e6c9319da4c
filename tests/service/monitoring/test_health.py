"""Probes are answered, and 503 while the drain file exists, though requests are answered."""

from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from service.application import Application
from service.monitoring.health import State
from tests.service.helpers import (
    INFER,
    JSON,
    assert_error,
    client_of,
    encoded,
    make_spectra,
    score_request,
)


def test_probes_say_alive_and_ready(client: TestClient) -> None:
    for path, status in (("/livez", "alive"), ("/readyz", "ready")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert State.model_validate_json(answer.content).status == status


def test_probes_take_head(client: TestClient) -> None:
    assert client.head("/readyz").status_code == 200


def test_the_drain_file_makes_probes_fail_while_requests_are_answered(
    make_application: Callable[..., Application], tmp_path: Path
) -> None:
    file = tmp_path / "drain"
    client = client_of(make_application(drain_file=file))
    assert client.get("/readyz").is_success
    file.touch()
    for path in ("/readyz", "/v2/health/ready", "/v2/models/outcrop/ready"):
        assert_error(client.get(path), 503, "draining", str(file))
    assert client.get("/livez").is_success
    body = encoded(score_request(make_spectra(1), reconstruction=False))
    assert client.post("/score", content=body, headers=JSON).is_success
    file.unlink()
    assert client.get("/readyz").is_success
    assert client.get(INFER).status_code == 405
