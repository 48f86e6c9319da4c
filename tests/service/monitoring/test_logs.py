"""Logs are JSON lines that name requests, and hold no measured value."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from outcrop.wire import encode_request
from service.application import Application
from service.monitoring.logs import JsonFormatter
from tests.service.helpers import INFER, JSON, client_of, encoded, make_spectra, score_request


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """A function that returns the lines logged so far, as objects."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("service")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_a_request_is_one_line(
    make_application: Callable[..., Application], lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = client_of(make_application())
    spectra = make_spectra(3)
    spectra.z[0] = np.nan
    headers, body = encode_request(spectra)
    client.post(INFER, content=body, headers=headers | {"X-Request-ID": "night-7"})
    (line,) = lines()
    assert line["request_id"] == "night-7"
    assert line["route"] == "/v2/models/{model}/infer"
    assert (line["code"], line["n"], line["bytes"]) == (200, 3, len(body))
    assert isinstance(line["status"], dict)
    assert line["status"]["NO_REDSHIFT"] == 1
    assert isinstance(line["seconds"], float)
    assert line["level"] == "info"


def test_probes_are_not_logged_unless_they_fail(
    make_application: Callable[..., Application], lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = client_of(make_application())
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    assert lines() == []
    client.post("/readyz")
    (line,) = lines()
    assert (line["route"], line["code"]) == ("/readyz", 405)


def test_no_value_of_a_spectrum_is_logged(
    make_application: Callable[..., Application], lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = client_of(make_application())
    content = score_request(make_spectra(1))
    content["spectra"][0]["cameras"]["b"]["flux"][5] = 31415.9265
    assert client.post("/score", content=encoded(content), headers=JSON).is_success
    content["spectra"][0]["cameras"]["b"]["flux"][5] = "31415.9265"
    answer = client.post("/score", content=encoded(content), headers=JSON)
    assert "31415.9265" in answer.json()["error"]
    logged = lines()
    assert [line["code"] for line in logged] == [200, 400]
    assert "31415" not in json.dumps(logged)
