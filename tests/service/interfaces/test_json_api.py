"""`POST /score`: one score for each spectrum, in order, the same as the model gives in process."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from outcrop import Scores, Status
from scoring.scorer import Scorer
from service.application import Application
from service.interfaces.response_models import ScoreAnswer
from tests.service.helpers import (
    JSON,
    assert_error,
    client_of,
    encoded,
    make_spectra,
    score_request,
)


def score(client: TestClient, content: Any) -> list[dict[str, Any]]:
    answer = client.post("/score", content=encoded(content), headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    ScoreAnswer.model_validate_json(answer.content, strict=True)
    return answer.json()["scores"]


def assert_equal(rows: list[dict[str, Any]], scores: Scores) -> None:
    """Assert that JSON rows hold these scores: NaN as null, targetid as a string."""
    for name, column in scores.columns().items():
        answered = [row[name] for row in rows]
        if name == "targetid":
            assert answered == [str(value) for value in column]
        else:
            np.testing.assert_allclose(
                np.array(answered, float), column.astype(float), rtol=2e-5, atol=1e-5, err_msg=name
            )


@pytest.mark.parametrize("names", [("b", "r", "z"), ("brz",), ("r", "z")])
def test_scores_are_those_of_the_model(
    client: TestClient, scorer: Scorer, names: tuple[str, ...]
) -> None:
    spectra = make_spectra(3, names)
    rows = score(client, score_request(spectra))
    assert_equal(rows, scorer.score(spectra, reconstruction=True))


def test_the_spectra_sized_scores_can_be_left_out(client: TestClient, scorer: Scorer) -> None:
    spectra = make_spectra(1)
    (row,) = score(client, score_request(spectra, reconstruction=False))
    assert set(row) == {*scorer.score(spectra).columns(), "status_names"}


def test_the_model_is_named(client: TestClient, scorer: Scorer) -> None:
    content = score_request(make_spectra(1), reconstruction=False)
    named = client.post("/score", content=encoded(content), headers=JSON).json()["model"]
    assert named == {
        name: getattr(scorer.model, name) for name in ("name", "version", "sha256", "sample")
    }


def test_mixed_layouts_keep_the_order_of_the_request(client: TestClient, scorer: Scorer) -> None:
    layouts = [("brz",), ("b", "r", "z"), ("b",), ("brz",), ("b", "r", "z")]
    parts = [make_spectra(1, names, seed=i, targetid=i) for i, names in enumerate(layouts)]
    rows = score(
        client,
        {"spectra": [score_request(part)["spectra"][0] for part in parts], "reconstruction": False},
    )
    for row, part in zip(rows, parts, strict=True):
        assert_equal([row], scorer.score(part))
    assert rows[2]["status_names"][-1] == "MISSING_CAMERA"


def null_flux(row: dict[str, Any]) -> None:
    row["cameras"]["r"]["flux"] = [None] * 2326


def null_ivar(row: dict[str, Any]) -> None:
    row["cameras"]["r"]["ivar"][7] = None


def negative_ivar(row: dict[str, Any]) -> None:
    row["cameras"]["r"]["ivar"][7] = -1.0


def huge_flux(row: dict[str, Any]) -> None:
    row["cameras"]["r"]["flux"] = [1e300] * 2326


def tiny_flux(row: dict[str, Any]) -> None:
    row["cameras"]["r"]["flux"] = [1e-300] * 2326


def all_masked(row: dict[str, Any]) -> None:
    for camera in row["cameras"].values():
        camera["mask"] = [4] * len(camera["flux"])


def no_redshift(row: dict[str, Any]) -> None:
    row["z"] = None


def high_redshift(row: dict[str, Any]) -> None:
    row["z"] = 2.5


def negative_redshift(row: dict[str, Any]) -> None:
    row["z"] = -3.0


@pytest.mark.parametrize(
    ("spoil", "bit"),
    [
        (null_flux, Status.BAD_PIXELS),
        (null_ivar, Status.BAD_PIXELS),
        (negative_ivar, Status.BAD_PIXELS),
        (huge_flux, Status.BAD_PIXELS),
        (tiny_flux, None),
        (all_masked, Status.NO_DATA),
        (no_redshift, Status.NO_REDSHIFT),
        (high_redshift, Status.Z_OUT_OF_RANGE),
        (negative_redshift, Status.Z_OUT_OF_RANGE),
    ],
)
def test_a_bad_spectrum_has_a_status_bit_and_its_neighbours_their_scores(
    client: TestClient, scorer: Scorer, spoil: Callable[[dict[str, Any]], None], bit: Status | None
) -> None:
    spectra = make_spectra(3)
    content = score_request(spectra, reconstruction=False)
    spoil(content["spectra"][1])
    rows = score(client, content)

    if bit is not None:
        assert bit.name in rows[1]["status_names"]
        assert rows[1]["status"] & bit
    if rows[1]["wmse"] is None or rows[1]["nof"] is None:
        assert rows[1]["status"]

    alone = scorer.score(spectra)
    assert_equal([rows[0], rows[2]], alone[np.array([0, 2])])


def test_a_repeated_targetid_is_answered_twice_with_its_bit(client: TestClient) -> None:
    content = score_request(make_spectra(2), reconstruction=False)
    for row in content["spectra"]:
        row["targetid"] = 9007199254740993
    rows = score(client, content)
    assert [row["targetid"] for row in rows] == ["9007199254740993"] * 2
    assert all("DUPLICATE" in row["status_names"] for row in rows)


def test_too_many_spectra_are_rejected(make_application: Callable[..., Application]) -> None:
    client = client_of(make_application(max_spectra=2))
    content = score_request(make_spectra(3, ("b",)))
    assert_error(
        client.post("/score", content=encoded(content), headers=JSON),
        413,
        "the request holds 3 spectra; send at most 2",
    )


def test_a_body_that_is_too_long_is_rejected(make_application: Callable[..., Application]) -> None:
    client = client_of(make_application(max_json_bytes=1000))
    answer = client.post("/score", content=b" " * 1001, headers=JSON)
    assert_error(answer, 413, "Content-Length is 1001", "binary tensors")
    chunked = client.post("/score", content=iter([b" " * 600] * 2), headers=JSON)
    assert_error(chunked, 413, "the body goes on", "at most 1000 bytes")


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"{}", JSON, 400, "spectra"),
        (b"{", JSON, 400, "JSON"),
        (b"", JSON, 400, "JSON"),
        (b"{}", {}, 415, "Content-Type"),
        (b"{}", {"Content-Type": "application/octet-stream"}, 415, "Content-Type"),
        (b"{}", {"Content-Type": "application/vnd.bentoml+pickle"}, 415, "Content-Type"),
        (b"{}", JSON | {"Content-Encoding": "gzip"}, 415, "Content-Encoding"),
    ],
)
def test_a_bad_request_is_rejected_in_one_shape(
    client: TestClient, body: bytes, headers: dict[str, str], status: int, word: str
) -> None:
    assert_error(client.post("/score", content=body, headers=headers), status, word)
