"""OpenAPI: the document that describes every route, as OpenAPI 3.1.

BentoML's own would not know these routes. Each route must have its entry here, or the service
does not start.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from outcrop import Model
from outcrop.wire import HEADER_LENGTH, MODEL_NAME

from ..http.body import BINARY, JSON
from ..http.router import Job, Route
from . import response_models as answers
from .json_models import ScoreRequest

MEANINGS = {
    "400": "A field is missing, unknown, or of the wrong type or size",
    "401": "The bearer token is missing or wrong, or strangers are not let in",
    "404": "Unknown model or version",
    "405": "Another method is expected",
    "408": "The body was not complete before the deadline",
    "413": "Too many bytes or spectra",
    "415": "Another content type or encoding is expected",
    "429": "The server is busy; try again after Retry-After seconds",
    "500": "The server failed on this request",
    "503": "Not ready, draining, or without memory for this request",
    "504": "The deadline passed before the spectra were scored",
}
_JOB_ERRORS = ("400", "408", "413", "415", "429", "500", "503", "504")


@dataclass(frozen=True)
class _Operation:
    summary: str
    answer: type[BaseModel] | str | None
    takes: type[BaseModel] | None = None
    errors: tuple[str, ...] = ()


_INFER = "/v2/models/{model}"
_MODEL_PAGES = {
    "": _Operation("The model's tensors", answers.ModelMetadata, errors=("404",)),
    "/ready": _Operation("Whether the model is ready", None, errors=("404", "503")),
    "/config": _Operation(
        "Triton's view of the model", answers.ModelConfiguration, errors=("404",)
    ),
    "/infer": _Operation(
        "Score spectra given as tensors", answers.InferAnswer, answers.InferRequest, ("404",)
    ),
}
_OPERATIONS = {
    "/score": _Operation("Score spectra given as JSON", answers.ScoreAnswer, ScoreRequest),
    "/model": _Operation("What the model says of itself", answers.ModelCard),
    "/livez": _Operation("Whether the process lives", answers.State),
    "/readyz": _Operation("Whether to send new work here", answers.State, errors=("503",)),
    "/metrics": _Operation("Prometheus metrics", "text/plain"),
    "/openapi.json": _Operation("This document", JSON),
    "/v2": _Operation("What this server is", answers.Server),
    "/v2/health/live": _Operation("Whether the process lives", None),
    "/v2/health/ready": _Operation("Whether to send new work here", None, errors=("503",)),
    **{_INFER + end: operation for end, operation in _MODEL_PAGES.items()},
    **{_INFER + "/versions/{version}" + end: o for end, o in _MODEL_PAGES.items()},
}


def document(routes: Iterable[Route], model: Model) -> bytes:
    """Return the document as JSON.

    Parameters
    ----------
    routes : iterable of Page or Job
    model : Model
        The one that is served.
    """
    paths = {route.path: _path(route, model) for route in routes}
    operations = _OPERATIONS.values()
    models = {
        answers.Error,
        *(o.answer for o in operations if isinstance(o.answer, type)),
        *(o.takes for o in operations if o.takes is not None),
    }
    _, definitions = models_json_schema(
        [(m, "validation") for m in sorted(models, key=lambda m: m.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": "Outcrop",
            "version": model.version,
            "description": "Scores DESI spectra by how much they stand out. Every answer has the "
            "header X-Request-ID, every error the shape of Error.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return json.dumps(content).encode()


def _path(route: Route, model: Model) -> dict[str, Any]:
    operation = _OPERATIONS[route.path]
    errors = {*operation.errors, "405"}
    if isinstance(route, Job):
        errors |= {*_JOB_ERRORS}
    if not route.is_open:
        errors |= {"401"}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _identifier(route),
        "responses": {
            "200": _success(operation, binary=isinstance(route, Job) and BINARY in route.accepts),
            **{code: _error(code) for code in sorted(errors)},
        },
        "security": [{}] if route.is_open else [{}, {"token": []}],
    }
    if isinstance(route, Job) and operation.takes is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                kind: {"schema": _reference(operation.takes) if kind == JSON else {}}
                for kind in sorted(route.accepts)
            },
        }
    parameters = [
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
    if isinstance(route, Job) and BINARY in route.accepts:
        parameters.append(
            {
                "name": HEADER_LENGTH,
                "in": "header",
                "required": False,
                "description": f"With {BINARY}: length of the JSON that leads the body",
                "schema": {"type": "string", "pattern": "^[0-9]{1,5}$"},
            }
        )
    if parameters:
        described["parameters"] = parameters
    return {route.methods[0].lower(): described}


def _identifier(route: Route) -> str:
    words = route.path.replace("{", "").replace("}", "").replace(".", "/").split("/")
    return "_".join([route.methods[0].lower(), *filter(None, words)])


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _success(operation: _Operation, *, binary: bool) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if isinstance(operation.answer, str):
        success["content"] = {operation.answer: {"schema": {}}}
    elif operation.answer is not None:
        success["content"] = {JSON: {"schema": _reference(operation.answer)}}
    if binary:
        success["content"][BINARY] = {"schema": {}}
    return success


def _error(code: str) -> dict[str, Any]:
    error: dict[str, Any] = {
        "description": MEANINGS[code],
        "content": {JSON: {"schema": _reference(answers.Error)}},
    }
    if code == "429":
        error["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return error
