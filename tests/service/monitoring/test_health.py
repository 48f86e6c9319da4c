"""Probes: the drain file turns new work away while work goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from model_store.bundle import Bundle, BundleError
from outcrop import Scores, Spectra
from scoring.scorer import Scorer
from scoring.stage_timer import Observe
from service.application import Application
from service.interfaces.response_models import State
from tests.service.helpers import INFER, JSON, URL, assert_error, document, encoded, made_spectra


def test_probes_say_alive_and_ready(client: TestClient) -> None:
    for path, status in (("/livez", "alive"), ("/readyz", "ready")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert State.model_validate_json(answer.content).status == status


def test_probes_may_be_asked_by_head(client: TestClient) -> None:
    assert client.head("/readyz").status_code == 200


def test_the_drain_file_turns_new_work_away_while_work_is_taken(
    application: Callable[..., Application], tmp_path: Path
) -> None:
    file = tmp_path / "drain"
    client = TestClient(application(drain_file=file).door, base_url=URL)
    assert client.get("/readyz").is_success
    file.touch()
    for path in ("/readyz", "/v2/health/ready", "/v2/models/outcrop/ready"):
        assert_error(client.get(path), 503, "draining", str(file))
    assert client.get("/livez").is_success
    body = encoded(document(made_spectra(1), reconstruction=False))
    assert client.post("/score", content=body, headers=JSON).is_success
    file.unlink()
    assert client.get("/readyz").is_success
    assert client.get(INFER).status_code == 405


class Empty(Scorer):
    """A scorer that gives every spectrum NaN."""

    def score(
        self, spectra: Spectra, *, reconstruction: bool = False, observe: Observe | None = None
    ) -> Scores:
        scores = super().score(spectra, reconstruction=reconstruction, observe=observe)
        scores.wmse[:] = float("nan")
        return scores


def test_a_model_that_cannot_score_a_plain_spectrum_is_not_served(
    application: Callable[..., Application], bundle: Path
) -> None:
    with pytest.raises(BundleError, match="gives a flat spectrum wmse nan"):
        application(Empty(Bundle.open(bundle), 1))
