"""The Open Inference Protocol v2, which Triton, KServe and MLServer implement.

A model repository of one. The messages themselves are read and written by `outcrop.wire`.
"""

import importlib.metadata
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from outcrop import Model
from outcrop.errors import WireError
from outcrop.scores import ON_REQUEST
from outcrop.wire import (
    INPUTS,
    MODEL_NAME,
    OUTPUTS,
    Request,
    RequestHeader,
    Tensor,
    decode_request,
    decode_request_header,
    encode_response,
)

from ..http.body import BINARY, JSON, Body
from ..http.errors import Problem
from ..http.router import GetRoute, PostRoute, RequestContext, Route
from .request_scorer import RequestScorer, check_count
from .response_models import (
    ModelConfiguration,
    ModelMetadata,
    Server,
    TensorConfiguration,
    TensorMetadata,
)

_MODEL = "/v2/models/{model}"
_VERSION = _MODEL + "/versions/{version}"


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

    def check_header(self, context: RequestContext, header: bytes) -> int:
        """Read and check the JSON header of a binary body before its tensors are read.

        Returns
        -------
        int
            Number of bytes that must follow the header.

        Raises
        ------
        Problem
            400 where the header is not valid, 413 where it announces too many spectra.
        """
        context.json_header = read_header(header, len(header), self._scorer.max_spectra)
        return context.json_header.tensor_bytes

    def infer(self, context: RequestContext, body: Body) -> Response:
        """Score the spectra of a message."""
        timer = self._scorer.timer()
        # The header of a body that is all JSON has not been read yet.
        header = context.json_header or read_header(body.data, None, self._scorer.max_spectra)
        request = read_request(body, header)
        timer.lap("read")

        scores = self._scorer.score(request.spectra, reconstruction=request.reconstruction)
        self._scorer.record(context, scores)

        timer = self._scorer.timer()
        headers, content = encode_response(scores, request)
        timer.lap("write")
        return Response(content, headers=headers)


def read_header(body: bytes | memoryview, length: int | None, max_spectra: int) -> RequestHeader:
    """Read and check the JSON header of a message, of this length; None where all is JSON.

    Raises
    ------
    Problem
        400 where it is not valid, 413 where it announces too many spectra.
    """
    try:
        header = decode_request_header(body, length)
    except WireError as error:
        raise _malformed(error) from error
    check_count("the request", header.spectra, max_spectra)
    return header


def read_request(body: Body, header: RequestHeader) -> Request:
    """Read a message whose header has been read; Problem 400 where it is not valid."""
    try:
        return decode_request(body.data, body.headers.header_length, header)
    except WireError as error:
        raise _malformed(error) from error


def _malformed(error: WireError) -> Problem:
    return Problem(400, str(error), reason="malformed")


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
    return [-1, len(model.wave) if tensor.name in ON_REQUEST else model.latents]
