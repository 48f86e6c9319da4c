"""Inference: the requests for scores, explanations and the model, and the reading of responses."""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from .._constants import (
    ANSWER_BYTES,
    CHUNK,
    EXPLAIN_CHUNK,
    EXPLANATION_BYTES,
    RECONSTRUCTION_BYTES,
    ROW_BYTES,
)
from ..errors import WireError
from ..explanation_json import decode_explanations
from ..explanations import Explanations
from ..model import Model
from ..scores import ON_REQUEST, Scores
from ..spectra import Spectra
from ..wire import HEADER_LENGTH, MODEL_NAME, decode_response, encode_request
from .client_request import ClientRequest, Reply

# Raised by reading a model from other JSON; 1e999, an infinity, is an ArithmeticError.
_NOT_A_MODEL: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def chunks(spectra: Spectra) -> Iterator[Spectra]:
    """Yield the spectra in chunks of up to `CHUNK`; none where there are no spectra."""
    return _chunks(spectra, CHUNK)


def explain_chunks(spectra: Spectra) -> Iterator[Spectra]:
    """Yield the spectra in chunks of up to `EXPLAIN_CHUNK`, as `chunks`."""
    return _chunks(spectra, EXPLAIN_CHUNK)


def _chunks(spectra: Spectra, size: int) -> Iterator[Spectra]:
    for start in range(0, len(spectra), size):
        yield spectra[start : start + size]


def score_request(url: str, spectra: Spectra, reconstruction: bool) -> ClientRequest:
    """Return the request to score spectra."""
    request_id = uuid.uuid4().hex
    headers, body = encode_request(spectra, reconstruction=reconstruction, request_id=request_id)
    row = ROW_BYTES + (RECONSTRUCTION_BYTES if reconstruction else 0)
    limit = ANSWER_BYTES + len(spectra) * row
    url = f"{url}/v2/models/{MODEL_NAME}/infer"
    return ClientRequest("POST", url, headers, body, request_id, limit)


def read_scores(
    request: ClientRequest, reply: Reply, spectra: Spectra, reconstruction: bool
) -> Scores:
    """Read the response to a `score_request`, which must hold all scores of these spectra."""
    length = reply.headers.get(HEADER_LENGTH)
    try:
        scores = decode_response(reply.content, None if length is None else int(length))
    except ValueError as error:
        raise request.malformed(error) from error

    if not np.array_equal(scores.targetid, spectra.targetid):
        raise request.malformed(ValueError("its targetid are not those of the request"))
    absent = set(ON_REQUEST) - set(scores.columns())
    if reconstruction and absent:
        raise request.malformed(ValueError(f"it lacks {', '.join(sorted(absent))}"))
    return scores


def join_scores(parts: Sequence[Scores], spectra: Spectra, model: Model | None) -> Scores:
    """Join the scores of the chunks of some spectra.

    Parameters
    ----------
    parts : sequence of Scores
        At least one.
    spectra : Spectra
    model : Model, optional
        Given where reconstructions were requested, for the bins they are on.

    Raises
    ------
    ModelChanged
        Where the scores are of different models, or not of the given one.
    WireError
        Where the reconstructions have other bins than the model.
    """
    scores = replace(Scores.concatenate(parts), z=spectra.z)
    if model is None:
        return scores

    model.identity.check_same(scores.model)
    if scores.reconstruction is None or scores.reconstruction.shape[1] != len(model.wave):
        raise WireError(
            f"reconstructions do not have the {len(model.wave)} bins of {model.identity}"
        )
    return replace(scores, rest_wave=model.wave)


def explain_request(url: str, spectra: Spectra) -> ClientRequest:
    """Return the request to explain spectra."""
    request_id = uuid.uuid4().hex
    headers, body = encode_request(spectra, request_id=request_id)
    limit = ANSWER_BYTES + len(spectra) * EXPLANATION_BYTES
    return ClientRequest("POST", f"{url}/explain", headers, body, request_id, limit)


def read_explanations(request: ClientRequest, reply: Reply, spectra: Spectra) -> Explanations:
    """Read the response to an `explain_request`: one explanation for each of these spectra."""
    try:
        explanations = decode_explanations(reply.content)
    except WireError as error:
        raise request.malformed(error) from error

    if [one.targetid for one in explanations] != spectra.targetid.tolist():
        raise request.malformed(ValueError("its targetid are not those of the request"))
    return explanations


def join_explanations(parts: Sequence[Explanations]) -> Explanations:
    """Join the explanations of chunks, at least one; ModelChanged where models differ."""
    model = parts[0].model
    for part in parts:
        model.check_same(part.model)
    return Explanations(model, tuple(one for part in parts for one in part))


def model_request(url: str) -> ClientRequest:
    """Return the request for the description of the model."""
    return ClientRequest("GET", f"{url}/model")


def read_model(request: ClientRequest, reply: Reply) -> Model:
    """Read the response to a `model_request`."""
    try:
        return Model.from_json(json.loads(reply.content))
    except _NOT_A_MODEL as error:
        raise request.malformed(error) from error


def no_scores(model: Model, reconstruction: bool) -> Scores:
    """Return the scores of no spectra."""
    floats = np.zeros(0, np.float32)
    flags = np.zeros(0, np.bool_)
    bins = np.zeros((0, len(model.wave)), np.float32)

    return Scores(
        model=model.identity,
        targetid=np.zeros(0, np.int64),
        status=np.zeros(0, np.int32),
        snr=floats,
        coverage=floats,
        norm=floats,
        latent=np.zeros((0, model.latents), np.float32),
        wmse=floats,
        nof=floats,
        wmse_anomaly=flags,
        nof_anomaly=flags,
        p_value=np.zeros(0, np.float64),
        p_value_pooled=np.zeros(0, np.float64),
        anomaly=flags,
        z=np.zeros(0, np.float64),
        rest_wave=model.wave if reconstruction else None,
        **(dict.fromkeys(ON_REQUEST, bins) if reconstruction else {}),
    )
