"""What Prometheus is told: right numbers, stable names, and no series of a client's making."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from outcrop.wire import encode_request
from service.application import Application
from tests.service.helpers import INFER, JSON, URL, document, encoded, made_spectra

NAMES = {
    "outcrop_requests",
    "outcrop_request_duration_seconds",
    "outcrop_requests_in_flight",
    "outcrop_rejected",
    "outcrop_request_body_bytes",
    "outcrop_spectra",
    "outcrop_spectra_status",
    "outcrop_spectra_petal",
    "outcrop_model_info",
    "process_resident_memory_bytes",
    "process_cpu_seconds",
}


@pytest.fixture
def made(application: Callable[..., Application]) -> Application:
    return application()


@pytest.fixture
def client(made: Application) -> TestClient:
    return TestClient(made.door, base_url=URL)


def value(made: Application, name: str, **labels: str) -> float:
    found = made.metrics.registry.get_sample_value(name, labels)
    return 0.0 if found is None else found


def series(client: TestClient) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    text = client.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_names_are_there(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert {family.name for family in text_string_to_metric_families(answer.text)} >= NAMES


def test_unknown_paths_and_methods_make_no_new_series(client: TestClient) -> None:
    client.get("/nowhere")
    client.get("/score")
    client.get("/v2/models/nothing")
    client.get("/metrics")
    before = series(client)
    for i in range(50):
        client.get(f"/nowhere/{i}")
        client.post(f"/v2/models/outcrop/{i}")
        client.get(f"/v2/models/{i}")
        client.request(f"BREW{i}", "/score")
    assert series(client) == before


def test_requests_are_counted_by_template_and_code(made: Application, client: TestClient) -> None:
    client.get("/v2/models/outcrop")
    client.get("/v2/models/other")
    route = "/v2/models/{model}"
    assert value(made, "outcrop_requests_total", route=route, code="200") == 1
    assert value(made, "outcrop_requests_total", route=route, code="404") == 1
    assert value(made, "outcrop_request_duration_seconds_count", route=route) == 2
    assert value(made, "outcrop_rejected_total", reason="not_found") == 1
    assert value(made, "outcrop_requests_in_flight") == 0


def test_spectra_are_counted_by_outcome_bit_and_petal(
    made: Application, client: TestClient
) -> None:
    spectra = made_spectra(6)
    spectra.z[:2] = np.nan
    spectra.z[2] = 0.9
    petal = np.array([0, 9, 9, -1, 10, 3], np.int32)
    headers, body = encode_request(replace(spectra, petal=petal))
    assert client.post(INFER, content=body, headers=headers).is_success
    outcomes = {
        name: value(made, "outcrop_spectra_total", outcome=name)
        for name in ("eligible", "ineligible", "unscored")
    }
    assert sum(outcomes.values()) == 6
    assert outcomes["eligible"] == 3
    assert value(made, "outcrop_spectra_status_total", bit="NO_REDSHIFT") == 2
    assert value(made, "outcrop_spectra_status_total", bit="Z_OUT_OF_RANGE") == 1
    petals = {p: value(made, "outcrop_spectra_petal_total", petal=p) for p in ("0", "3", "9")}
    assert petals == {"0": 1, "3": 1, "9": 2}
    assert value(made, "outcrop_spectra_petal_total", petal="none") == 2
    assert value(made, "outcrop_request_body_bytes_sum") == len(body)


def test_json_spectra_have_no_petal(made: Application, client: TestClient) -> None:
    body = encoded(document(made_spectra(2), reconstruction=False))
    assert client.post("/score", content=body, headers=JSON).is_success
    assert value(made, "outcrop_spectra_petal_total", petal="none") == 2


def test_the_model_is_named(client: TestClient) -> None:
    line = re.search(r"^outcrop_model_info\{(.*)\} 1.0$", client.get("/metrics").text, re.M)
    assert line is not None
    assert 'sample="simulated' in line[1]
    assert re.search(r'sha256="[0-9a-f]{64}"', line[1])
