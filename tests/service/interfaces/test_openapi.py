"""The OpenAPI document describes every route, and refers to nothing that is not in it."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import Response
from starlette.testclient import TestClient

from scoring.scorer import Scorer
from service.http.router import GetRoute
from service.interfaces.openapi import document


@pytest.fixture(scope="module")
def content(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_path_is_described(content: dict[str, Any]) -> None:
    assert content["openapi"].startswith("3.1")
    paths = {"/score", "/model", "/livez", "/readyz", "/metrics", "/openapi.json"}
    assert paths < set(content["paths"])
    assert "/v2/models/{model}/versions/{version}/infer" in content["paths"]


def test_every_error_is_described_in_one_shape(content: dict[str, Any]) -> None:
    score = content["paths"]["/score"]["post"]["responses"]
    codes = "200 400 401 403 405 408 413 415 429 431 500 503 504"
    assert list(score) == codes.split()
    for path in content["paths"].values():
        for operation in path.values():
            for code, response in operation["responses"].items():
                if code != "200":
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Error"}


def test_content_types_are_those_that_are_read(content: dict[str, Any]) -> None:
    paths = content["paths"]
    assert list(paths["/score"]["post"]["requestBody"]["content"]) == ["application/json"]
    infer = paths["/v2/models/{model}/infer"]["post"]["requestBody"]["content"]
    assert list(infer) == ["application/json", "application/octet-stream"]


def test_the_example_of_a_request_is_scored(content: dict[str, Any], client: TestClient) -> None:
    body = content["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    given = body["example"]["spectra"][0]
    fields = content["components"]["schemas"]["Spectrum"]["properties"]
    # It shows what matters besides pixels.
    assert {"z", "targetid", "desi_target", "spectype", "cameras"} == set(given) <= set(fields)
    (score,) = client.post("/score", json=body["example"]).json()["scores"]
    assert score["targetid"] == given["targetid"]
    assert "OUT_OF_POPULATION" not in score["status_names"]


def test_all_references_resolve(content: dict[str, Any]) -> None:
    found = set(references(content))
    assert "#/components/schemas/ScoreRequest" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in content["components"]["schemas"]


def test_operations_have_names_of_their_own(content: dict[str, Any]) -> None:
    names = [o["operationId"] for path in content["paths"].values() for o in path.values()]
    assert len(names) == len(set(names))


def test_a_route_without_a_description_does_not_start(scorer: Scorer) -> None:
    with pytest.raises(KeyError, match="/undescribed"):
        document([GetRoute("/undescribed", lambda _: Response())], scorer.model)
