"""Responses that do not belong to their request are refused."""

import json
from dataclasses import replace

import httpx2
import numpy as np
import pytest

from outcrop import ModelChanged, Scores, Spectra, WireError
from outcrop._http.client_request import Reply
from outcrop._http.inference import (
    chunks,
    explain_chunks,
    explain_request,
    join_explanations,
    model_request,
    no_scores,
    read_explanations,
    read_model,
    read_scores,
    score_request,
)
from outcrop.explanation_json import encode_explanations
from outcrop.wire import (
    DEFAULT_OUTPUTS,
    HEADER_LENGTH,
    Request,
    decode_request,
    encode_response,
)
from tests.outcrop_sdk.sample import (
    BINS,
    LATENTS,
    some_explanations,
    some_model,
    some_scores,
    some_spectra,
)

URL = "http://x"


def replied(content: bytes, **headers: str) -> Reply:
    return Reply(httpx2.Headers(headers), content)


def scored(spectra: Spectra, scores: Scores, reconstruction: bool = False) -> Scores:
    """Read a response with these scores to the request for these spectra."""
    request = Request(spectra, None, DEFAULT_OUTPUTS, frozenset(DEFAULT_OUTPUTS))
    headers, content = encode_response(scores, request)
    reply = Reply(httpx2.Headers(headers), content)
    return read_scores(score_request(URL, spectra, reconstruction), reply, spectra, reconstruction)


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (500, [500]), (1203, [500, 500, 203])])
def test_chunks_have_up_to_500_spectra_in_order(rows: int, sizes: list[int]) -> None:
    parts = list(chunks(some_spectra(rows)))
    assert [len(part) for part in parts] == sizes
    assert [one for part in parts for one in part.targetid] == list(range(1, rows + 1))


def test_a_request_holds_the_spectra_and_its_id() -> None:
    request = score_request(URL, some_spectra(2), reconstruction=True)
    assert (request.method, request.url) == ("POST", "http://x/v2/models/outcrop/infer")
    sent = decode_request(request.body, int(request.headers[HEADER_LENGTH]))
    assert (sent.id, sent.reconstruction) == (request.request_id, True)
    assert sent.spectra.targetid.tolist() == [1, 2]


def test_scores_are_read_with_their_model() -> None:
    spectra = some_spectra(2)
    scores = scored(spectra, some_scores(spectra))
    assert scores.model == some_model().identity
    np.testing.assert_array_equal(scores.wmse, some_scores(spectra).wmse)


def test_scores_of_other_spectra_are_refused() -> None:
    with pytest.raises(WireError, match="targetid are not those of the request"):
        scored(some_spectra(2), some_scores(some_spectra(2, first=9)))


def test_a_response_without_the_requested_reconstruction_is_refused() -> None:
    spectra = some_spectra(2)
    with pytest.raises(WireError, match="it lacks reconstruction, rest_flux, rest_ivar"):
        scored(spectra, some_scores(spectra), reconstruction=True)


def test_a_request_to_explain_holds_the_spectra_and_its_id() -> None:
    request = explain_request(URL, some_spectra(2))
    assert (request.method, request.url) == ("POST", "http://x/explain")
    sent = decode_request(request.body, int(request.headers[HEADER_LENGTH]))
    assert (sent.id, sent.spectra.targetid.tolist()) == (request.request_id, [1, 2])


def test_spectra_to_explain_are_sent_50_at_a_time() -> None:
    assert [len(part) for part in explain_chunks(some_spectra(120))] == [50, 50, 20]


@pytest.mark.parametrize("other", [some_spectra(2, first=9), some_spectra(1), some_spectra(3)])
def test_explanations_of_other_spectra_are_refused(other: Spectra) -> None:
    spectra = some_spectra(2)
    content = encode_explanations(some_explanations(other), "desi edr")
    request = explain_request(URL, spectra)
    with pytest.raises(WireError, match="targetid are not those of the request") as caught:
        read_explanations(request, replied(content), spectra)
    assert caught.value.request_id == request.request_id


def test_explanations_of_two_models_are_not_joined() -> None:
    parts = [some_explanations(some_spectra(2)), some_explanations(some_spectra(1, first=3))]
    assert [one.targetid for one in join_explanations(parts)] == [1, 2, 3]
    other = replace(some_model(), version="2").identity
    with pytest.raises(ModelChanged):
        join_explanations([parts[0], replace(parts[1], model=other)])


@pytest.mark.parametrize(
    "reply",
    [
        replied(b"<html>Welcome to nginx</html>"),
        replied(b"{}"),
        replied(b"[" * 100_000),
        replied(b"{}", **{HEADER_LENGTH: "two"}),
        replied(b"{}", **{HEADER_LENGTH: "2000"}),
    ],
)
def test_content_that_is_not_a_response_is_refused(reply: Reply) -> None:
    spectra = some_spectra(1)
    request = score_request(URL, spectra, False)
    with pytest.raises(WireError, match=r"cannot be used: .*is it an Outcrop service") as caught:
        read_scores(request, reply, spectra, False)
    assert caught.value.request_id == request.request_id


def test_the_model_is_read() -> None:
    content = json.dumps(some_model().to_json()).encode()
    assert read_model(model_request(URL), replied(content)).identity == some_model().identity


def changed(**fields: object) -> str:
    return json.dumps(some_model().to_json() | fields)


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        "[]",
        "{}",
        "null",
        '"a model"',
        changed(redshift_range=[0]),
        changed(redshift_range={"0": 1, "1": 2}),
        changed(redshift_range=[0, "1"]),
        changed(wave=5),
        changed(wave={"first": 1, "last": 2, "bins": 10**12}),
        changed(wave={"first": 1, "last": 2, "bins": -1}),
        changed(wave={"first": 1, "last": 2, "bins": True}),
        changed(wave={"first": float("nan"), "last": 2, "bins": 2}),
        changed(wave={"first": 10**400, "last": 2, "bins": 2}),
        changed(thresholds=5),
        changed(thresholds={"wmse": 1}),
        changed(thresholds={"wmse": 1, "nof": None}),
        changed(latents="ten"),
        changed(latents=0),
        changed(latents=10**9),
        changed(name=None),
        changed(name=""),
        changed(name="a\x1b[2J"),
        changed(version="\ud800"),
        changed(sample=["desi"]),
        changed(sha256="a" * 5000),
        changed(p_level=True),
        changed(packages=["numpy"]),
        changed(packages={"numpy": 2}),
        changed(packages={"num\npy": "2"}),
        changed().replace('"latents": 3', '"latents": 1e999'),
        changed().replace('"latents": 3', f'"latents": {"9" * 5000}'),
        "[" * 100_000,
    ],
)
def test_content_that_is_not_a_model_is_refused(content: str) -> None:
    request = model_request(URL)
    with pytest.raises(WireError, match="is it an Outcrop service") as caught:
        read_model(request, replied(content.encode()))
    assert caught.value.request_id == request.request_id


@pytest.mark.parametrize("reconstruction", [False, True])
def test_scores_of_no_spectra_have_the_columns_of_others(reconstruction: bool) -> None:
    scores = no_scores(some_model(), reconstruction)
    assert (len(scores), scores.model) == (0, some_model().identity)
    assert scores.latent.shape == (0, LATENTS)
    if reconstruction:
        assert scores.rest_ivar is not None
        assert scores.rest_ivar.shape == (0, BINS)
    expected = some_scores(some_spectra(1), reconstruction).columns()
    kinds = {name: column.dtype for name, column in scores.columns().items()}
    assert kinds == {name: column.dtype for name, column in expected.items()}
