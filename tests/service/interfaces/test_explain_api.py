"""`POST /explain`: one explanation for each spectrum, in order, the same as in process."""

import http.client
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from explanation.explainer import Explainer
from model_store.bundle import Bundle
from outcrop import Explanations, Spectra, Status
from outcrop.explanation_json import decode_explanations, encode_explanations
from outcrop.wire import encode_request
from scoring.scorer import Scorer
from service.application import Application
from tests.service.helpers import (
    INFER,
    JSON,
    URL,
    FaultyScorer,
    assert_error,
    client_of,
    encoded,
    listening,
    make_spectra,
    score_request,
    wait_for,
)


@pytest.fixture(scope="module")
def explainer(bundle: Path, scorer: Scorer) -> Explainer:
    return Explainer(Bundle.open(bundle), scorer)


def explained(client: TestClient, spectra: Spectra, way: str = "binary") -> Explanations:
    headers, body = encode_request(spectra)
    if way == "json":
        headers, body = JSON, encoded(score_request(spectra))
    answer = client.post("/explain", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return decode_explanations(answer.content)


@pytest.mark.parametrize("way", ["binary", "json"])
@pytest.mark.parametrize("names", [("b", "r", "z"), ("brz",), ("r", "z")])
def test_explanations_are_those_of_the_explainer(
    client: TestClient, explainer: Explainer, names: tuple[str, ...], way: str
) -> None:
    spectra = make_spectra(3, names)
    expected = explainer.explain(spectra)
    found = explained(client, spectra, way)
    assert found.model == expected.model
    assert [one.targetid for one in found] == spectra.targetid.tolist()
    # The pixels of JSON have gone through decimals; the explanation is the same but for them.
    if way == "binary":
        sample = explainer.scorer.model.sample
        assert encode_explanations(found, sample) == encode_explanations(expected, sample)
    for one, other in zip(found, expected, strict=True):
        assert (one.status, one.cause) == (other.status, other.cause)
        np.testing.assert_allclose(one.p_value, other.p_value, rtol=1e-4)


def test_the_model_is_named_as_in_the_answer_of_scores(client: TestClient, scorer: Scorer) -> None:
    content = encoded(score_request(make_spectra(1), reconstruction=False))
    (scored, answered) = (
        client.post(path, content=content, headers=JSON).json() for path in ("/score", "/explain")
    )
    assert answered["model"] == scored["model"]
    for name in ("targetid", "status", "status_names", "p_value"):
        assert answered["explanations"][0][name] == scored["scores"][0][name]


def test_mixed_layouts_keep_the_order_of_the_request(client: TestClient) -> None:
    layouts = [("brz",), ("b", "r", "z"), ("b",), ("brz",), ("b", "r", "z")]
    parts = [make_spectra(1, names, seed=i, targetid=i) for i, names in enumerate(layouts)]
    content = {"spectra": [score_request(part)["spectra"][0] for part in parts]}
    answer = client.post("/explain", content=encoded(content), headers=JSON).json()
    rows = answer["explanations"]
    assert [row["targetid"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert ["MISSING_CAMERA" in row["status_names"] for row in rows] == [False] * 2 + [True] + [
        False
    ] * 2


@pytest.mark.parametrize("way", ["binary", "json"])
def test_what_cannot_be_explained_is_a_row_with_a_status_and_without_a_cause(
    client: TestClient, way: str
) -> None:
    spectra = make_spectra(4)
    spectra.bands["r"].flux[1, 5] = np.inf
    for band in spectra.bands.values():
        band.ivar[1] = 0
    spectra.z[2] = np.nan
    if way == "json":
        spectra.bands["r"].flux[1, 5] = 0
        content = score_request(spectra)
        content["spectra"][2]["z"] = None
        answer = client.post("/explain", content=encoded(content), headers=JSON)
        found = decode_explanations(answer.content)
    else:
        found = explained(client, spectra)
    assert found[1].status & Status.NO_DATA
    assert found[2].status & Status.NO_REDSHIFT
    for row in (1, 2):
        assert found[row].cause == ""
        assert np.isnan([found[row].p_value, found[row].cause_probability]).all()
        assert not found[row].evidence
    good = make_spectra(4)[np.array([0, 3])]
    again = explained(client, good, way)
    assert repr((found[0], found[3])) == repr(again.rows)


def test_no_spectra_are_no_explanations_where_tensors_are_empty(client: TestClient) -> None:
    assert len(explained(client, make_spectra(1)[:0])) == 0


@pytest.mark.parametrize("way", ["binary", "json"])
def test_too_many_spectra_are_rejected(
    make_application: Callable[..., Application], way: str
) -> None:
    client = client_of(make_application(max_explained=2))
    spectra = make_spectra(3, ("b",))
    headers, body = encode_request(spectra)
    if way == "json":
        headers, body = JSON, encoded(score_request(spectra))
    answer = client.post("/explain", content=body, headers=headers)
    assert_error(answer, 413, "the request holds 3 spectra; send at most 2")
    assert len(explained(client, spectra[:2], way)) == 2


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"{}", JSON, 400, "spectra"),
        (b'{"spectra":[]}', JSON, 400, "spectra"),
        (b"{", JSON, 400, "JSON"),
        (b'{"spectra":[{"z":NaN}]}', JSON, 400, "NaN"),
        (b"{}", {}, 400, "spectra"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "Content-Type"),
        (b"{}", {"Content-Type": "application/octet-stream"}, 400, "Inference-Header"),
        (b"{}", {"Inference-Header-Content-Length": "2"}, 400, "inputs"),
        (b"{}", {"Inference-Header-Content-Length": "3"}, 400, "3"),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
    ],
)
def test_a_bad_request_is_rejected_in_one_shape(
    client: TestClient, body: bytes, headers: dict[str, str], status: int, word: str
) -> None:
    assert_error(client.post("/explain", content=body, headers=headers), status, word)


def test_the_body_of_inference_in_json_is_not_that_of_scores(client: TestClient) -> None:
    content = {"inputs": [{"name": "z", "shape": [1], "datatype": "FP64", "data": [0.1]}]}
    answer = client.post("/explain", content=encoded(content), headers=JSON)
    assert_error(answer, 400, "inputs")


def test_spectra_that_are_explained_do_not_count_as_scored(
    make_application: Callable[..., Application],
) -> None:
    application = make_application()
    client = client_of(application)
    spectra = make_spectra(3)
    explained(client, replace(spectra, spectype=np.array(["GALAXY"] * 3)))

    def value(name: str, **labels: str) -> float | None:
        return application.metrics.registry.get_sample_value(name, labels)

    counted = {"outcome": "eligible", "spectype": "GALAXY"}
    assert value("outcrop_spectra_total", **counted) == 0
    for stage in ("read", "explain", "write"):
        assert value("outcrop_stage_seconds_count", stage=stage) == 1
    assert value("outcrop_requests_total", route="/explain", code="200") == 1


def test_the_log_line_has_counts(
    make_application: Callable[..., Application], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(make_application())
    spectra = make_spectra(2)
    spectra.z[0] = np.nan
    with caplog.at_level(logging.INFO, "service"):
        explained(client, spectra)
    (fields,) = [vars(line)["fields"] for line in caplog.records if line.message == "request"]
    assert (fields["route"], fields["n"]) == ("/explain", 2)
    assert fields["status"]["NO_REDSHIFT"] == 1
    assert isinstance(fields["causes"], dict)


def post(port: int, path: str, spectra: Spectra) -> httpx2.Response:
    headers, body = encode_request(spectra)
    return httpx2.post(f"{URL}:{port}{path}", content=body, headers=headers, timeout=60)


def test_explanations_wait_for_each_other_and_take_no_slot_of_scores(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, max_in_work=1, max_waiting=0)
    spectra = make_spectra(1)
    with listening(application) as port, ThreadPoolExecutor(2) as callers:
        faulty_scorer.pause()
        explained = callers.submit(post, port, "/explain", spectra)
        wait_for(lambda: application.slow_work.taken == 1)
        busy = post(port, "/explain", spectra)
        assert_error(busy, 429, "try again later")
        assert int(busy.headers["retry-after"]) >= 1

        scored = callers.submit(post, port, INFER, spectra)
        wait_for(lambda: application.work.taken == 1)
        faulty_scorer.resume()
        assert scored.result().is_success
        assert explained.result().is_success


def test_a_late_explanation_is_a_504_and_an_abandoned_one_a_499(
    make_application: Callable[..., Application], faulty_scorer: FaultyScorer
) -> None:
    application = make_application(faulty_scorer, max_in_work=1, max_waiting=1, deadline_seconds=2)
    headers, body = encode_request(make_spectra(1))

    def counted(code: str) -> float:
        labels = {"route": "/explain", "code": code}
        return application.metrics.registry.get_sample_value("outcrop_requests_total", labels) or 0

    with listening(application) as port:
        faulty_scorer.pause()
        assert_error(post(port, "/explain", make_spectra(1)), 504, "the deadline passed")
        # It waits behind the first one's thread.
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/explain", body, headers)
        wait_for(lambda: application.slow_work.taken == 2)
        connection.close()
        wait_for(lambda: counted("499") == 1)
        faulty_scorer.resume()
        wait_for(lambda: application.slow_work.taken == 0)
        assert post(port, "/explain", make_spectra(1)).is_success
    assert (counted("504"), counted("200")) == (1, 1)
    assert application.metrics.registry.get_sample_value("outcrop_body_held_bytes") == 0
