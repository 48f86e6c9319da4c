"""Metrics have right numbers and stable names, and no series that a client could make."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from outcrop import CAUSES, Explanation, Explanations, ModelIdentity, Status
from outcrop.wire import encode_request
from service.application import Application
from service.monitoring.metrics import OUTCOMES, STAGES, documentation
from service.monitoring.score_metrics import SPECTYPES
from tests.service.helpers import INFER, JSON, client_of, encoded, make_spectra, score_request

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()
SERVED, OF_NIGHTS = DOCUMENT.split("\n## Of a night\n")


@pytest.fixture
def application(make_application: Callable[..., Application]) -> Application:
    """An application that has counted nothing yet."""
    return make_application()


@pytest.fixture
def client(application: Application) -> TestClient:
    return client_of(application)


def value(application: Application, name: str, **labels: str) -> float:
    found = application.metrics.registry.get_sample_value(name, labels)
    return 0.0 if found is None else found


def series(client: TestClient) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    text = client.get("/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_documentation_is_that_of_the_code() -> None:
    assert documentation() == DOCUMENT


def test_the_documentation_lists_the_metrics_of_a_served_model(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", SERVED, re.M))
    answered = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in text_string_to_metric_families(answer.text)
    }
    assert answered == listed


def test_every_label_and_every_stage_is_explained(client: TestClient) -> None:
    explained = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|$", SERVED, re.M))
    client.get("/livez")  # requests are counted once there are any
    labels = {label for _, pairs in series(client) for label, _ in pairs}
    assert set(explained) == labels - {"le"}
    for stage in STAGES:
        assert f"`{stage}`" in explained["stage"]


def test_every_label_of_a_night_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \| [^|]* \|$", DOCUMENT, re.M))
    listed = re.findall(r"^\| `outcrop_night_\w+` \| gauge \| ([^|]*) \|", OF_NIGHTS, re.M)
    labels = {label for each in listed for label in re.findall(r"\w+", each)}
    assert {"night", "camera", "sha256"} < labels <= explained


def test_names_end_in_their_unit(client: TestClient) -> None:
    units = ("_seconds", "_bytes", "_ratio", "_max", "_info", "_total", "_requests")
    units += ("_petals", "_spectra")
    unitless = {
        "outcrop_ready",
        "outcrop_requests_in_flight",
        "outcrop_canary_flags",
        "outcrop_canary_p_values",
    }
    scores = {f"outcrop_spectra_{name}" for name in ("snr", "wmse", "nof", "p_value")}
    for name in re.findall(r"^\| `(outcrop_\w+)` \| \w+ \|", DOCUMENT, re.M):
        assert name.endswith(units) or name in unitless | scores, name


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


def test_requests_are_counted_by_template_and_code(
    application: Application, client: TestClient
) -> None:
    client.get("/v2/models/outcrop")
    client.get("/v2/models/other")
    route = "/v2/models/{model}"
    assert value(application, "outcrop_requests_total", route=route, code="200") == 1
    assert value(application, "outcrop_requests_total", route=route, code="404") == 1
    assert value(application, "outcrop_request_duration_seconds_count", route=route) == 2
    assert value(application, "outcrop_rejected_total", reason="not_found") == 1
    assert value(application, "outcrop_requests_in_flight") == 0


def test_spectra_are_counted_by_outcome_class_bit_and_petal(
    application: Application, client: TestClient
) -> None:
    spectra = replace(
        make_spectra(6), spectype=np.array(["GALAXY", "STAR", "STAR", "GALAXY", "QSO", ""])
    )
    spectra.z[:2] = np.nan
    spectra.z[2] = 0.5
    petal = np.array([0, 9, 9, -1, 10, 3], np.int32)
    headers, body = encode_request(replace(spectra, petal=petal))
    assert client.post(INFER, content=body, headers=headers).is_success
    counts = {
        (outcome, name): value(application, "outcrop_spectra_total", outcome=outcome, spectype=name)
        for outcome in OUTCOMES
        for name in SPECTYPES
    }
    assert {key for key, count in counts.items() if count} == {
        ("eligible", "GALAXY"),
        ("eligible", "QSO"),
        ("eligible", "unknown"),
        ("ineligible", "STAR"),
        ("unscored", "GALAXY"),
        ("unscored", "STAR"),
    }
    assert set(counts.values()) == {0, 1}
    assert value(application, "outcrop_spectra_status_total", bit="NO_REDSHIFT") == 2
    assert value(application, "outcrop_spectra_status_total", bit="Z_OUT_OF_RANGE") == 1
    petals = {
        p: value(application, "outcrop_spectra_petal_total", petal=p) for p in ("0", "3", "9")
    }
    assert petals == {"0": 1, "3": 1, "9": 2}
    assert value(application, "outcrop_spectra_petal_total", petal="none") == 2
    assert value(application, "outcrop_request_body_bytes_sum") == len(body)


def test_targets_are_counted_by_whether_their_bits_are_known(
    application: Application, client: TestClient
) -> None:
    spectra = make_spectra(7)
    # A sky fiber is no target.
    spectra.status[0] = int(Status.NOT_TARGET)
    bits = np.array([1 << 32, 1 << 61, 1 << 61, 0, 1 << 60, -1, -1])
    headers, body = encode_request(replace(spectra, desi_target=bits))
    assert client.post(INFER, content=body, headers=headers).is_success
    request = score_request(make_spectra(3), reconstruction=False)
    request["spectra"][0]["desi_target"] = str(1 << 60)
    assert client.post("/score", content=encoded(request), headers=JSON).is_success
    assert value(application, "outcrop_targets_total", target_bits="known") == 4 + 1
    assert value(application, "outcrop_targets_total", target_bits="unknown") == 2 + 2
    assert value(application, "outcrop_spectra_status_total", bit="OUT_OF_POPULATION") == 3


def test_only_what_nothing_else_disqualifies_is_counted_as_extrapolated(
    application: Application, client: TestClient
) -> None:
    spectra = make_spectra(6)
    # Far brighter than any calibration spectrum, except for the last two.
    for band in spectra.bands.values():
        band.ivar[:4] *= 1e8
        band.ivar[4] *= 1e-8
    bits = np.array([1 << 60, 1 << 60, 1 << 61, 1 << 60, 1 << 60, 1 << 60])
    spectra.status[3] = int(Status.BAD_FIBER)
    headers, body = encode_request(replace(spectra, desi_target=bits))
    assert client.post(INFER, content=body, headers=headers).is_success
    # Another population's, a bad fiber and an S/N below 1 have no p_value anyway.
    assert value(application, "outcrop_spectra_extrapolated_total") == 2


def test_targets_that_should_have_scores_and_have_none_are_counted(
    application: Application, client: TestClient
) -> None:
    spectra = make_spectra(6)
    # Sky fibers and redshifts beyond the model's range are not counted: only the first two are.
    spectra.z[:2] = np.nan
    spectra.z[2:4] = 2.5, np.nan
    spectra.status[3] = int(Status.NOT_TARGET)
    headers, body = encode_request(spectra)
    assert client.post(INFER, content=body, headers=headers).is_success
    assert value(application, "outcrop_spectra_total", outcome="unscored", spectype="unknown") == 4
    assert value(application, "outcrop_targets_unscored_total") == 2


@pytest.mark.parametrize("way", ["binary", "json"])
def test_every_stage_is_timed(application: Application, client: TestClient, way: str) -> None:
    spectra = make_spectra(2)
    headers, body = encode_request(spectra)
    if way == "json":
        headers, body = JSON, encoded(score_request(spectra))
    path = {"binary": INFER, "json": "/score"}[way]
    for each in (path, "/explain"):
        assert client.post(each, content=body, headers=headers).is_success
    for stage in STAGES:
        assert value(application, "outcrop_stage_seconds_count", stage=stage) > 0, stage
        assert value(application, "outcrop_stage_seconds_sum", stage=stage) > 0, stage


def test_the_causes_of_flagged_spectra_are_counted(
    application: Application, client: TestClient
) -> None:
    identity = ModelIdentity("outcrop", "1", "ab" * 32)
    rows = [
        Explanation(1, 0, 0.001, "cosmic_ray"),
        Explanation(2, 0, 0.001, "cosmic_ray"),
        Explanation(3, 0, 0.009, "rare"),
        # Not flagged, not scored, and flagged without a cause.
        Explanation(4, 0, 0.01, "cosmic_ray"),
        Explanation(5, int(Status.NO_DATA), np.nan),
        Explanation(6, 0, 0.001),
    ]
    counts = application.metrics.observe_causes(Explanations(identity, tuple(rows)), 0.01)
    assert counts == {"cosmic_ray": 2, "rare": 1}
    found = {cause: value(application, "outcrop_causes_total", cause=cause) for cause in CAUSES}
    assert found == dict.fromkeys(CAUSES, 0) | counts
    before = series(client)
    headers, body = encode_request(make_spectra(2))
    assert client.post("/explain", content=body, headers=headers).is_success
    assert {name for name, _ in series(client) - before} <= {"outcrop_requests_total"}


def test_what_the_start_scores_is_not_counted(application: Application) -> None:
    for outcome in OUTCOMES:
        for name in SPECTYPES:
            labels = {"outcome": outcome, "spectype": name}
            assert value(application, "outcrop_spectra_total", **labels) == 0
    for stage in STAGES:
        assert value(application, "outcrop_stage_seconds_count", stage=stage) == 0
    assert value(application, "outcrop_spectra_snr_count") == 0


def test_work_and_bodies_are_reported_with_their_limits(application: Application) -> None:
    assert value(application, "outcrop_work_requests") == 0
    assert value(application, "outcrop_work_requests_max") == 2 + 64
    assert value(application, "outcrop_body_held_bytes") == 0
    assert value(application, "outcrop_body_held_bytes_max") == 640 * 2**20


def test_json_spectra_have_no_petal(application: Application, client: TestClient) -> None:
    body = encoded(score_request(make_spectra(2), reconstruction=False))
    assert client.post("/score", content=body, headers=JSON).is_success
    assert value(application, "outcrop_spectra_petal_total", petal="none") == 2


def test_the_model_is_named(client: TestClient) -> None:
    line = re.search(r"^outcrop_model_info\{(.*)\} 1.0$", client.get("/metrics").text, re.M)
    assert line is not None
    assert 'sample="simulated' in line[1]
    assert re.search(r'sha256="[0-9a-f]{64}"', line[1])
