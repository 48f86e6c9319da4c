"""The response models hold what the model and its scores hold, and the document shows them."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from outcrop import Model, Scores, Status
from scoring.scorer import Scorer
from service.interfaces.response_models import (
    ModelCard,
    ModelConfiguration,
    ModelMetadata,
    ModelName,
    Score,
    ScoreAnswer,
    Server,
)
from tests.service.helpers import make_spectra


def answered(scorer: Scorer, scores: Scores) -> list[dict[str, Any]]:
    response = ScoreAnswer.of(ModelName.of(scorer.model), scores).response()
    ScoreAnswer.model_validate_json(bytes(response.body), strict=True)
    return json.loads(bytes(response.body))["scores"]


def test_a_score_has_each_column_of_the_scores_and_the_names_of_its_bits(scorer: Scorer) -> None:
    spectra = make_spectra(2)
    for reconstruction in (False, True):
        scores = scorer.score(spectra, reconstruction=reconstruction)
        for row in answered(scorer, scores):
            assert set(row) == {*scores.columns(), "status_names"}
    assert set(Score.__annotations__) == {*scores.columns(), "status_names"}


def test_scores_that_are_nan_are_null_and_bits_have_names(scorer: Scorer) -> None:
    scores = scorer.score(make_spectra(2))
    spoilt = replace(
        scores,
        wmse=np.array([np.nan, 2.5], np.float32),
        status=np.array([int(Status.NO_DATA | Status.DUPLICATE), 0], np.int32),
        targetid=np.array([-(2**63), 2**63 - 1]),
    )
    first, second = answered(scorer, spoilt)
    assert (first["wmse"], second["wmse"]) == (None, 2.5)
    assert (first["status_names"], second["status_names"]) == (["NO_DATA", "DUPLICATE"], [])
    assert (first["targetid"], second["targetid"]) == (str(-(2**63)), str(2**63 - 1))


def test_every_number_is_the_shortest_that_is_read_back_exactly(scorer: Scorer) -> None:
    scores = scorer.score(make_spectra(2), reconstruction=True)
    assert scores.rest_flux is not None
    scores.rest_flux[0, :2] = 0.1, np.nan
    spoilt = replace(
        scores, snr=np.array([0.1, 16777216], np.float32), p_value=np.array([0.1, 1 / 3])
    )
    rows = answered(scorer, spoilt)
    assert [row["snr"] for row in rows] == [0.1, 16777216]
    assert [row["p_value"] for row in rows] == [0.1, 1 / 3]
    assert rows[0]["rest_flux"][:2] == [0.1, None]

    for name in ("latent", "reconstruction", "rest_ivar"):
        read = np.array([row[name] for row in rows], np.float32)
        np.testing.assert_array_equal(read, getattr(spoilt, name))


def test_no_spectra_are_no_scores(scorer: Scorer) -> None:
    assert answered(scorer, scorer.score(make_spectra(1)[:0])) == []


def test_the_card_is_all_that_the_model_says_of_itself(client: TestClient, scorer: Scorer) -> None:
    content = client.get("/model").content
    card = ModelCard.model_validate_json(content)
    assert json.loads(content) == json.loads(json.dumps(scorer.model.to_json()))
    assert Model.from_json(json.loads(content)).to_json() == scorer.model.to_json()
    assert card.sha256 == scorer.model.sha256


def test_the_responses_of_the_protocol_are_valid(client: TestClient) -> None:
    for path, model in (
        ("/v2", Server),
        ("/v2/models/outcrop", ModelMetadata),
        ("/v2/models/outcrop/config", ModelConfiguration),
    ):
        model.model_validate_json(client.get(path).content, strict=True)


def test_the_document_allows_no_other_field_in_a_score() -> None:
    schema = TypeAdapter(Score).json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) - set(schema["required"]) == {
        "reconstruction",
        "rest_flux",
        "rest_ivar",
    }
