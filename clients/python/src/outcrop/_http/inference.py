"""Answers: what is asked of the service, and what its replies mean."""

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from .._constants import CHUNK
from ..errors import OutcropError
from ..model import Model
from ..scores import Scores
from ..spectra import Spectra
from ..wire import HEADER_LENGTH, MODEL_NAME, ON_REQUEST, Answer, decode_answer, encode_request
from .client_request import Exchange, Reply

# What reading a model from JSON that is none raises; 1e999, an infinity, is an ArithmeticError.
_NO_MODEL: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def chunks(spectra: Spectra) -> Iterator[Spectra]:
    """Yield the spectra in portions of up to `CHUNK`; none where there are no spectra."""
    for start in range(0, len(spectra), CHUNK):
        yield spectra.rows(slice(start, start + CHUNK))


def inference(url: str, spectra: Spectra, reconstruction: bool) -> Exchange:
    """Return the exchange that has spectra scored."""
    request_id = uuid.uuid4().hex
    headers, body = encode_request(spectra, reconstruction=reconstruction, request_id=request_id)
    return Exchange("POST", f"{url}/v2/models/{MODEL_NAME}/infer", headers, body, request_id)


def read_answer(exchange: Exchange, reply: Reply, spectra: Spectra, reconstruction: bool) -> Answer:
    """Read the answer to an inference, which must be about these spectra and hold all of it."""
    length = reply.headers.get(HEADER_LENGTH)
    try:
        answer = decode_answer(reply.content, None if length is None else int(length))
    except ValueError as error:
        raise exchange.malformed(error) from error
    if not np.array_equal(answer.scores.targetid, spectra.targetid):
        raise exchange.malformed(ValueError("its targetid are not those of the request"))
    absent = set(ON_REQUEST) - set(answer.scores.columns())
    if reconstruction and absent:
        raise exchange.malformed(ValueError(f"it lacks {', '.join(sorted(absent))}"))
    return answer


def read_model(exchange: Exchange, reply: Reply) -> Model:
    """Read the answer to ``GET /model``."""
    try:
        return Model.from_json(json.loads(reply.content))
    except _NO_MODEL as error:
        raise exchange.malformed(error) from error


def joined(answers: Sequence[Answer]) -> Scores:
    """Join the answers to consecutive chunks.

    Raises
    ------
    OutcropError
        Where the service changed its model between them.
    """
    models = {(answer.model_name, answer.model_version) for answer in answers}
    if len(models) > 1:
        raise OutcropError(
            f"the service changed its model during the call: {sorted(map(str, models))}; "
            "score again"
        )
    return Scores.concatenate([answer.scores for answer in answers])


def no_scores(model: Model, reconstruction: bool) -> Scores:
    """Return the scores of no spectra."""
    floats = np.zeros(0, np.float32)
    flags = np.zeros(0, np.bool_)
    bins = np.zeros((0, len(model.wave)), np.float32)
    return Scores(
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
        anomaly=flags,
        **(dict.fromkeys(ON_REQUEST, bins) if reconstruction else {}),
    )
