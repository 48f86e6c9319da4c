"""OpenAPI: the document that describes every route, as OpenAPI 3.1.

BentoML's own document would lack these routes. Each route must have its entry here, or the service
does not start.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from outcrop import Model
from outcrop.explanation_json import JsonExplanations
from outcrop.wire import HEADER_LENGTH, MODEL_NAME

from ..http.body import BINARY, JSON
from ..http.errors import Error
from ..http.router import PostRoute, Route
from ..monitoring.health import State
from . import response_models as responses
from .json_models import ScoreRequest

MEANINGS = {
    "400": "A field is missing, unknown, or of the wrong type or size",
    "401": "The bearer token is missing or wrong, or requests without a token are rejected",
    "403": "Without tokens: the header Host or Origin is that of a web page",
    "404": "Unknown model or version",
    "405": "The route does not take this method",
    "408": "Head or body was not complete before the deadline, or the body made no progress",
    "413": "Too many bytes or spectra",
    "415": "The content type or encoding is not accepted",
    "429": "The server is busy; try again after Retry-After seconds",
    "431": "Request line and headers are too long, or there are too many headers",
    "500": "The server failed on this request",
    "503": "Not ready, draining, or without memory for this request",
    "504": "The deadline passed before the spectra were scored or explained",
}
_REFERENCE = "#/components/schemas/{}"
_POST_ERRORS = ("400", "408", "413", "415", "429", "500", "503", "504")


@dataclass(frozen=True)
class _Operation:
    """What the document says of a route.

    Attributes
    ----------
    summary : str
    response : type, str or None
        The model of a JSON response, the content type of another, None for an empty one.
    body : type, optional
        The type of the request's body.
    errors : tuple of str
        Statuses that other routes do not have.
    example : dict, optional
        A valid JSON body.
    binary : bool
        Whether the response can be binary.
    """

    summary: str
    response: type[BaseModel] | type[msgspec.Struct] | str | None
    body: type[BaseModel] | type[msgspec.Struct] | None = None
    errors: tuple[str, ...] = ()
    example: dict[str, Any] | None = None
    binary: bool = False


_PIXELS = {
    "wavelength": [3600.0, 3600.8],
    "flux": [1.31, None],
    "ivar": [0.42, 0.0],
    "mask": [0, 4],
}
# Pixels are shortened to two.
_EXAMPLE = {
    "spectra": [
        {
            "targetid": "39627835576420141",
            "z": 0.1187,
            "desi_target": "1152921504606846976",
            "spectype": "GALAXY",
            "cameras": {"b": _PIXELS},
        }
    ],
    "reconstruction": False,
}


_MODEL = "/v2/models/{model}"
_MODEL_OPERATIONS = {
    "": _Operation("The model's tensors", responses.ModelMetadata, errors=("404",)),
    "/ready": _Operation("Whether the model is ready", None, errors=("404", "503")),
    "/config": _Operation(
        "Triton's model configuration", responses.ModelConfiguration, errors=("404",)
    ),
    "/infer": _Operation(
        "Score spectra given as tensors",
        responses.InferAnswer,
        responses.InferRequest,
        ("404",),
        binary=True,
    ),
}
_OPERATIONS = {
    "/score": _Operation(
        "Score spectra given as JSON", responses.ScoreAnswer, ScoreRequest, example=_EXAMPLE
    ),
    "/explain": _Operation(
        "Explain spectra given as JSON or as binary tensors",
        JsonExplanations,
        ScoreRequest,
        example={"spectra": _EXAMPLE["spectra"]},
    ),
    "/model": _Operation("The description of the model", responses.ModelCard),
    "/livez": _Operation("Whether the process is alive", State),
    "/readyz": _Operation("Whether to send new requests here", State, errors=("503",)),
    "/metrics": _Operation("Prometheus metrics", "text/plain"),
    "/openapi.json": _Operation("This document", JSON),
    "/v2": _Operation("The description of the server", responses.Server),
    "/v2/health/live": _Operation("Whether the process is alive", None),
    "/v2/health/ready": _Operation("Whether to send new requests here", None, errors=("503",)),
    **{_MODEL + end: operation for end, operation in _MODEL_OPERATIONS.items()},
    **{_MODEL + "/versions/{version}" + end: o for end, o in _MODEL_OPERATIONS.items()},
}


def document(routes: Iterable[Route], model: Model) -> bytes:
    """Return the document as JSON.

    Parameters
    ----------
    routes : iterable of GetRoute or PostRoute
    model : Model
        The model that is served.
    """
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": "Outcrop",
            "version": model.version,
            "description": "Finds the DESI spectra that stand out. Every response has the header "
            "X-Request-ID, every error the shape of Error.",
        },
        "paths": {route.path: _path(route, model) for route in routes},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(content).encode()


def _schemas() -> dict[str, Any]:
    types = {Error}
    for operation in _OPERATIONS.values():
        types |= {each for each in (operation.response, operation.body) if isinstance(each, type)}
    ordered = sorted(types, key=lambda each: each.__name__)

    models = [each for each in ordered if issubclass(each, BaseModel)]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REFERENCE.format("{model}")
    )
    structs = [each for each in ordered if issubclass(each, msgspec.Struct)]
    _, components = msgspec.json.schema_components(
        structs, ref_template=_REFERENCE.format("{name}")
    )
    return definitions["$defs"] | components


def _path(route: Route, model: Model) -> dict[str, Any]:
    operation = _OPERATIONS[route.path]
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _identifier(route),
        "responses": {
            "200": _success(operation),
            **{code: _error(code) for code in _errors(route, operation)},
        },
        "security": [{}] if route.is_open else [{}, {"token": []}],
    }
    if isinstance(route, PostRoute) and operation.body is not None:
        described["requestBody"] = _request_body(route, operation.body)
    if operation.example is not None:
        described["requestBody"]["content"][JSON]["example"] = operation.example
    parameters = _parameters(route, model)
    if parameters:
        described["parameters"] = parameters
    return {route.methods[0].lower(): described}


def _identifier(route: Route) -> str:
    words = route.path.replace("{", "").replace("}", "").replace(".", "/").split("/")
    return "_".join([route.methods[0].lower(), *filter(None, words)])


def _takes_binary(route: Route) -> bool:
    return isinstance(route, PostRoute) and BINARY in route.accepts


def _reference(model: type[object]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model.__name__)}


def _success(operation: _Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if isinstance(operation.response, str):
        success["content"] = {operation.response: {"schema": {}}}
    elif operation.response is not None:
        success["content"] = {JSON: {"schema": _reference(operation.response)}}
    if operation.binary:
        success["content"][BINARY] = {"schema": {}}
    return success


def _errors(route: Route, operation: _Operation) -> list[str]:
    codes = {*operation.errors, "403", "405", "431"}
    if isinstance(route, PostRoute):
        codes |= {*_POST_ERRORS}
    if not route.is_open:
        codes |= {"401"}
    return sorted(codes)


def _error(code: str) -> dict[str, Any]:
    error: dict[str, Any] = {
        "description": MEANINGS[code],
        "content": {JSON: {"schema": _reference(Error)}},
    }
    if code == "429":
        error["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return error


def _request_body(route: PostRoute, model: type[object]) -> dict[str, Any]:
    content = {
        kind: {"schema": _reference(model) if kind == JSON else {}}
        for kind in sorted(route.accepts)
    }
    return {"required": True, "content": content}


def _parameters(route: Route, model: Model) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
            "example": value,
        }
        for name, value in (("model", MODEL_NAME), ("version", model.version))
        if f"{{{name}}}" in route.path
    ]

    if _takes_binary(route):
        parameters.append(
            {
                "name": HEADER_LENGTH,
                "in": "header",
                "required": False,
                "description": f"With {BINARY}: length of the JSON header of the body",
                "schema": {"type": "string", "pattern": "^[0-9]{1,5}$"},
            }
        )
    return parameters
