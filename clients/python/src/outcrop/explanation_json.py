"""Explanations as JSON: the answer to `POST /explain`, written by the service, read by the client.

The types of its objects are also what the OpenAPI document shows. Every float may be null, which
is NaN. targetid is a string, because JSON readers round large integers. Repeats are not there: the
service never knows them.
"""

import math
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import numpy as np
from msgspec import Meta

from .errors import WireError
from .explanations import (
    CAUSES,
    Evidence,
    Explanation,
    Explanations,
    Neighbour,
    Segment,
    Tag,
)
from .model import ModelIdentity
from .scores import Status
from .strict_json import decode

_Number = float | None
_Interval = tuple[float, float]
_TargetId = Annotated[str, Meta(pattern="^-?[0-9]{1,19}$")]
_Cause = Annotated[str, Meta(pattern=f"^({'|'.join(CAUSES)})$")]
_CauseOrNone = Annotated[str, Meta(pattern=f"^({'|'.join(CAUSES)})?$")]


class _Object(msgspec.Struct, forbid_unknown_fields=True):
    pass


class JsonTag(_Object):
    """Something that lies where a segment lies, and the chance that it lies there by accident."""

    name: str
    chance: _Number


class JsonSegment(_Object):
    """Neighbouring bins that the model does not explain; wavelengths in vacuum Å."""

    rest: _Interval
    observed: _Interval
    significance: _Number
    sign: Literal[-1, 1]
    continuum_share: _Number
    tags: tuple[JsonTag, ...]


class JsonEvidence(_Object):
    """How well a cause explains the spectrum; wavelengths in the observed frame, vacuum Å."""

    cause: _Cause
    delta_chi2: _Number
    parameters: Annotated[int, Meta(ge=0)]
    probability: _Number
    p_value: _Number
    z: _Number
    wavelengths: tuple[_Interval, ...]
    sentence: str


class JsonNeighbour(_Object):
    """A spectrum of the training sample that is near in latent space."""

    targetid: _TargetId
    z: _Number
    spectype: str
    label: str
    distance: _Number
    quantile: _Number


class JsonExplanation(_Object):
    """Why one spectrum stands out; without a cause where it has no scores."""

    targetid: _TargetId
    status: Annotated[
        int, Meta(ge=-(2**31), lt=2**31, description="Bits; `status_names` names them")
    ]
    status_names: list[str]
    p_value: _Number
    cause: Annotated[_CauseOrNone, Meta(description="Empty where there is none")]
    cause_probability: _Number
    p_explained: Annotated[
        _Number, Meta(description="p_value of what remains when the cause is taken off")
    ]
    z_best: Annotated[
        _Number, Meta(description="The redshift at which the spectrum is best explained")
    ]
    p_best: Annotated[_Number, Meta(description="p_value at z_best")]
    sentence: str
    place: Annotated[tuple[_Number, _Number], Meta(description="On the map of the training sample")]
    evidence: Annotated[tuple[JsonEvidence, ...], Meta(description="The most probable first")]
    segments: Annotated[tuple[JsonSegment, ...], Meta(description="The most significant first")]
    neighbours: Annotated[tuple[JsonNeighbour, ...], Meta(description="The nearest first")]


class JsonModel(_Object):
    """The model that made a set of explanations."""

    name: str
    version: str
    sha256: str
    sample: Annotated[str, Meta(description="`simulated`, or `desi` with the release")]


class JsonExplanations(_Object):
    """The response of `POST /explain`: one explanation for each spectrum, in order."""

    model: JsonModel
    explanations: list[JsonExplanation]


_DECODER: Final = msgspec.json.Decoder(JsonExplanations)
_KINDS: Final[dict[type[_Object], type[Any]]] = {
    JsonTag: Tag,
    JsonSegment: Segment,
    JsonEvidence: Evidence,
    JsonNeighbour: Neighbour,
    JsonExplanation: Explanation,
}


def encode_explanations(explanations: Explanations, sample: str) -> bytes:
    """Return explanations as JSON; NaN and infinities become null, repeats are left out.

    Parameters
    ----------
    explanations : Explanations
    sample : str
        Name of the model's training sample.
    """
    model = {**_fields(explanations.model), "sample": sample}
    rows = [
        {
            **_fields(one),
            "targetid": str(one.targetid),
            "status_names": [bit.name for bit in Status(one.status)],
            "segments": [_fields(each, but="repeats") for each in one.segments],
            "neighbours": [
                {**_fields(each), "targetid": str(each.targetid)} for each in one.neighbours
            ],
        }
        for one in explanations
    ]
    return msgspec.json.encode({"model": model, "explanations": rows}, enc_hook=_python_number)


def decode_explanations(content: bytes | bytearray) -> Explanations:
    """Read explanations; inverse of `encode_explanations`.

    Raises
    ------
    WireError
        Where the content is not that; names the field.
    """
    answer = decode(_DECODER, bytes(content), "the answer")
    model = answer.model
    for text in (model.name, model.version, model.sha256):
        if not text or not text.isprintable():
            raise WireError(f"model is {model!r}; expected texts that are printable")
    return Explanations(
        ModelIdentity(model.name, model.version, model.sha256),
        tuple(map(_read, answer.explanations)),
    )


def _fields(value: Any, but: str = "") -> dict[str, Any]:
    return {name: getattr(value, name) for name in _names(value) if name != but}


def _names(of: Any) -> list[str]:
    return [field.name for field in fields(of)]


def _python_number(value: object) -> object:
    if isinstance(value, np.generic):
        return cast(Any, value).item()
    raise TypeError(f"{value!r} has no form in JSON")


def _read(found: Any) -> Any:
    """Return the value of a field, or the object of `explanations` that an object stands for."""
    if found is None:
        return math.nan
    if isinstance(found, str) and not found.isprintable():
        raise WireError(f"an explanation holds the text {found[:60]!r}; expected printable ones")
    if isinstance(found, tuple):
        return tuple(map(_read, cast(tuple[Any, ...], found)))
    if not isinstance(found, _Object):
        return found

    kind = _KINDS[type(found)]
    given = {name: _read(getattr(found, name)) for name in _names(kind) if hasattr(found, name)}
    if "targetid" in given:
        given["targetid"] = _int64(given["targetid"])
    return kind(**given)


def _int64(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise WireError(f"targetid is {text}; expected a 64-bit integer")
    return number
