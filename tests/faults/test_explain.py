"""Explaining under attack: every spectrum gets its row, and nobody else waits for it."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest

from outcrop import Client, Spectra
from outcrop.explanation_json import decode_explanations
from outcrop.wire import encode_request
from tests.service.conftest import ServedProcess, serving
from tests.service.helpers import make_spectra, wait_for
from tests.service.hostile import assert_hostile_spectra_are_explained


def value(served: ServedProcess, start: str) -> float:
    """Return the value of the first metric that starts so; 0 where there is none."""
    for line in httpx2.get(f"{served.url}/metrics").text.splitlines():
        if line.startswith(start):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_hostile_spectra_get_their_explanations(served: ServedProcess) -> None:
    assert_hostile_spectra_are_explained(served, 300)
    assert '"code": 500' not in served.log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_20000_hostile_spectra_get_their_explanations(served: ServedProcess) -> None:
    assert_hostile_spectra_are_explained(served, 20_000)


def test_a_petal_is_explained_as_it_is_scored(served: ServedProcess, spectra: Spectra) -> None:
    with Client(served.url) as client:
        scores = client.score(spectra)
        rows = np.flatnonzero(scores.anomaly)[:60]
        # The first without scores, so that there is a row that cannot be explained.
        rows = np.append(rows, np.flatnonzero(np.isnan(scores.wmse))[:1])
        explanations = client.explain(spectra[rows])
    assert explanations.model == scores.model
    assert [one.targetid for one in explanations] == scores.targetid[rows].tolist()
    assert [one.status for one in explanations] == scores.status[rows].tolist()
    np.testing.assert_allclose(
        [one.p_value for one in explanations], scores.p_value[rows], rtol=1e-5
    )
    assert explanations[len(rows) - 1].cause == ""


def test_more_spectra_than_the_limit_are_rejected_before_their_pixels_are_sent(
    served: ServedProcess,
) -> None:
    headers, body = encode_request(make_spectra(101, ("b",)))
    length = int(headers["Inference-Header-Content-Length"])
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"))
    connection.putrequest("POST", "/explain")
    for name, field in (headers | {"Content-Length": str(len(body))}).items():
        connection.putheader(name, field)
    connection.endheaders(body[:length])
    answer = connection.getresponse()
    assert (answer.status, b"send at most 100" in answer.read()) == (413, True)
    connection.close()


def test_clients_that_disconnect_leave_nothing_behind(served: ServedProcess) -> None:
    headers, body = encode_request(make_spectra(50))
    before = value(served, 'outcrop_requests_total{code="499",route="/explain"}')
    for _ in range(6):
        connection = http.client.HTTPConnection(served.url.removeprefix("http://"))
        # One byte is missing: each has to be ended by its client.
        connection.putrequest("POST", "/explain")
        for name, field in (headers | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, field)
        connection.endheaders(body[:-1])
        connection.close()
    wait_for(
        lambda: value(served, 'outcrop_requests_total{code="499",route="/explain"}') == before + 6
    )
    wait_for(lambda: value(served, "outcrop_body_held_bytes ") == 0)
    with Client(served.url) as client:
        assert len(client.explain(make_spectra(3))) == 3


def test_after_sigterm_explanations_in_work_are_answered(bundle: Path, tmp_path: Path) -> None:
    headers, body = encode_request(make_spectra(40))
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served:

        def post(_: int) -> httpx2.Response:
            url = f"{served.url}/explain"
            return httpx2.post(url, content=body, headers=headers, timeout=60)

        with ThreadPoolExecutor(4) as callers:
            answers = [callers.submit(post, number) for number in range(4)]
            # All of them, and the one that asks.
            wait_for(lambda: value(served, "outcrop_requests_in_flight ") == 5)
            served.process.terminate()
            for answer in answers:
                assert answer.result().status_code == 200
                assert len(decode_explanations(answer.result().content)) == 40
        assert served.process.wait(timeout=60) == 0
        assert not [line for line in served.lines() if line["level"] != "info"]
