"""The Open Inference Protocol v2, which Triton, KServe and MLServer implement.

A model repository of one. The messages themselves are read and written by `outcrop.wire`.
"""

import importlib.metadata
import json
from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response

from outcrop import Model
from outcrop.errors import WireError
from outcrop.wire import INPUTS, MODEL_NAME, OUTPUTS, Tensor, decode_request, encode_response

from ..http.body import BINARY, JSON, Body
from ..http.errors import Problem
from ..http.router import GetRoute, PostRoute, RequestContext, Route
from .request_scorer import RequestScorer
from .response_models import (
    ModelConfiguration,
    ModelMetadata,
    Server,
    TensorConfiguration,
    TensorMetadata,
)

_MODEL = "/v2/models/{model}"
_VERSION = _MODEL + "/versions/{version}"
_SPECTRUM_BINS = ("reconstruction", "rest_flux", "rest_ivar")


class OipApi:
    """Answer requests under /v2.

    Parameters
    ----------
    scorer : RequestScorer
    check_ready : callable
        Raises a Problem with status 503 while the service is not ready.
    """

    def __init__(self, scorer: RequestScorer, check_ready: Callable[[], None]) -> None:
        self._scorer = scorer
        self._check_ready = check_ready
        self._server = Server(
            name=MODEL_NAME,
            version=importlib.metadata.version("outcrop"),
            extensions=["binary_tensor_data", "model_configuration"],
        )
        self._metadata = _metadata(scorer.model)
        self._configuration = _configuration(scorer.model)

    def routes(self) -> list[Route]:
        """Return the routes of this protocol."""
        routes: list[Route] = [
            GetRoute("/v2", self.server),
            GetRoute("/v2/health/live", lambda _: Response()),
            GetRoute("/v2/health/ready", self.ready),
        ]
        for path in (_MODEL, _VERSION):
            routes += [
                GetRoute(path, self.metadata),
                GetRoute(f"{path}/ready", self.model_ready),
                GetRoute(f"{path}/config", self.configuration),
                PostRoute(
                    f"{path}/infer",
                    (BINARY, JSON),
                    self.infer,
                    check=self.check_model,
                    check_header=self.check_header,
                ),
            ]
        return routes

    def server(self, _: RequestContext) -> Response:
        """Return the description of the server."""
        return self._server.response()

    def ready(self, _: RequestContext) -> Response:
        """Return an empty response, or 503."""
        self._check_ready()
        return Response()

    def model_ready(self, context: RequestContext) -> Response:
        """Return an empty response, or 503; 404 for another model."""
        self.check_model(context)
        return self.ready(context)

    def metadata(self, context: RequestContext) -> Response:
        """Return the model's tensors."""
        self.check_model(context)
        return self._metadata.response()

    def configuration(self, context: RequestContext) -> Response:
        """Return Triton's model configuration, which load testers fetch."""
        self.check_model(context)
        return self._configuration.response()

    def check_model(self, context: RequestContext) -> None:
        """Raise a Problem with status 404 for a model or version that is not served."""
        model, served = context.parameters["model"], self._scorer.model.version
        if model != MODEL_NAME:
            raise Problem(
                404, f"model {model[:60]!r} is not here; there is {MODEL_NAME}", reason="not_found"
            )
        version = context.parameters.get("version", served)
        if version != served:
            raise Problem(
                404,
                f"version {version[:60]!r} of {MODEL_NAME} is not here; there is {served}",
                reason="not_found",
            )

    def check_header(self, _: RequestContext, header: bytes) -> int:
        """Check the JSON header of a binary body before its tensors are read.

        Returns
        -------
        int
            Number of bytes that must follow the header.

        Raises
        ------
        Problem
            400 where the header cannot be read, 413 where it announces too many spectra.
        """
        tensors = _announced(header)
        for name, count, _size in tensors:
            self._scorer.check_count(f"input {name}", count)
        return sum(size for _name, _count, size in tensors)

    def infer(self, context: RequestContext, body: Body) -> Response:
        """Score the spectra of a message."""
        timer = self._scorer.timer()
        try:
            request = decode_request(body.data, body.headers.header_length)
        except WireError as error:
            raise Problem(400, str(error), reason="malformed") from error
        # A binary body has passed `check_header`; one that is all JSON has not.
        self._scorer.check_count("input z", len(request.spectra))
        timer.lap("read")

        scores = self._scorer.score(request.spectra, reconstruction=request.reconstruction)
        self._scorer.record(context, scores, request.spectra.petal)

        timer = self._scorer.timer()
        version = self._scorer.model.version
        headers, content = encode_response(scores, request, MODEL_NAME, version)
        timer.lap("write")
        return Response(content, headers=headers)


def _announced(header: bytes) -> list[tuple[str, int, int]]:
    """Return the name, the number of spectra and the number of bytes of each input.

    Only what decides whether to read on is checked here; decoding checks everything.
    """
    try:
        message: Any = json.loads(header)
        inputs = cast(list[dict[str, Any]], message["inputs"])
        sizes = [entry.get("parameters", {}).get("binary_data_size", 0) for entry in inputs]
        counts = [entry["shape"][0] for entry in inputs]
    except (ValueError, RecursionError) as error:
        raise Problem(
            400, f"the JSON header cannot be read: {error}", reason="malformed"
        ) from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Problem(
            400,
            "the JSON header has no list 'inputs' of objects with name, shape, datatype and "
            "parameters; see GET /openapi.json",
            reason="malformed",
        ) from error

    tensors: list[tuple[str, int, int]] = []
    for entry, size, count in zip(inputs, sizes, counts, strict=True):
        name = str(entry.get("name"))[:60]
        if type(size) is not int or size < 0 or type(count) is not int or count < 0:
            raise Problem(
                400,
                f"input {name} has binary_data_size {str(size)[:60]} and shape "
                f"[{str(count)[:60]}, ...]; expected whole numbers",
                reason="malformed",
            )
        tensors.append((name, count, size))
    return tensors


def _metadata(model: Model) -> ModelMetadata:
    return ModelMetadata(
        name=MODEL_NAME,
        versions=[model.version],
        platform="onnxruntime",
        inputs=[_tensor(tensor, model) for tensor in INPUTS.values()],
        outputs=[_tensor(tensor, model) for tensor in OUTPUTS.values()],
    )


def _tensor(tensor: Tensor, model: Model) -> TensorMetadata:
    return TensorMetadata(
        name=tensor.name, datatype=tensor.datatypes[0], shape=_shape(tensor, model)
    )


def _configuration(model: Model) -> ModelConfiguration:
    return ModelConfiguration(
        name=MODEL_NAME,
        platform="onnxruntime",
        backend="onnxruntime",
        # The batch is the first dimension of every tensor, as in the metadata.
        max_batch_size=0,
        input=[
            TensorConfiguration(**_entry(tensor, model), optional=tensor.name != "z")
            for tensor in INPUTS.values()
        ],
        output=[TensorConfiguration(**_entry(tensor, model)) for tensor in OUTPUTS.values()],
    )


def _entry(tensor: Tensor, model: Model) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "data_type": f"TYPE_{tensor.datatypes[0]}",
        "dims": _shape(tensor, model),
    }


def _shape(tensor: Tensor, model: Model) -> list[int]:
    if tensor.columns != -1:
        return tensor.shape
    return [-1, len(model.wave) if tensor.name in _SPECTRUM_BINS else model.latents]
