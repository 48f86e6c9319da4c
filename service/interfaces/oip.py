"""Protocol: the Open Inference Protocol v2, which Triton, KServe and MLServer speak.

A model repository of one. The messages themselves are read and written by `outcrop.wire`.
"""

import importlib.metadata
import json
from collections.abc import Callable
from typing import Any, cast

from starlette.responses import JSONResponse, Response

from outcrop import Model
from outcrop.errors import WireError
from outcrop.wire import INPUTS, MODEL_NAME, OUTPUTS, Tensor, decode_request, encode_response
from scoring.scorer import Scorer
from scoring.stage_timer import StageTimer

from ..http.body import BINARY, JSON, Body
from ..http.errors import Problem
from ..http.router import Exchange, Job, Page, Route
from ..monitoring.metrics import Metrics

_MODEL = "/v2/models/{model}"
_VERSION = _MODEL + "/versions/{version}"
_SPECTRUM_BINS = ("reconstruction", "rest_flux", "rest_ivar")


def declared_bytes(header: bytes, max_spectra: int) -> int:
    """Return how many bytes of tensors must follow the leading JSON of a binary body.

    Only what decides whether to read on is looked at here; decoding checks everything.

    Raises
    ------
    Problem
        400 where the JSON cannot be read, 413 where it announces too many spectra.
    """
    try:
        message: Any = json.loads(header)
        inputs = cast(list[dict[str, Any]], message["inputs"])
        sizes = [entry.get("parameters", {}).get("binary_data_size", 0) for entry in inputs]
        rows = [entry["shape"][0] for entry in inputs]
    except (ValueError, RecursionError) as error:
        raise Problem(
            400, f"the leading JSON cannot be read: {error}", reason="malformed"
        ) from error
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Problem(
            400,
            "the leading JSON has no list 'inputs' of objects with name, shape, datatype and "
            "parameters; see GET /openapi.json",
            reason="malformed",
        ) from error
    for entry, size, count in zip(inputs, sizes, rows, strict=True):
        name = str(entry.get("name"))[:60]
        if type(size) is not int or size < 0 or type(count) is not int or count < 0:
            raise Problem(
                400,
                f"input {name} has binary_data_size {str(size)[:60]} and shape "
                f"[{str(count)[:60]}, ...]; expected whole numbers",
                reason="malformed",
            )
        _check_rows(name, count, max_spectra)
    return sum(sizes)


def _check_rows(name: str, rows: int, max_spectra: int) -> None:
    if rows > max_spectra:
        raise Problem(
            413,
            f"input {name} holds {rows} spectra; send at most {max_spectra} at a time",
            reason="too_large",
        )


class Protocol:
    """Answers under /v2.

    Parameters
    ----------
    scorer : Scorer
    metrics : Metrics
    max_spectra : int
    ready : callable
        Raises a Problem with status 503 while the service is not ready.
    """

    def __init__(
        self, scorer: Scorer, metrics: Metrics, max_spectra: int, ready: Callable[[], None]
    ) -> None:
        self._scorer = scorer
        self._metrics = metrics
        self._max_spectra = max_spectra
        self._ready = ready

    def routes(self) -> list[Route]:
        """Return what is answered here."""
        routes: list[Route] = [
            Page("/v2", self.server),
            Page("/v2/health/live", lambda _: Response()),
            Page("/v2/health/ready", self.ready),
        ]
        for path in (_MODEL, _VERSION):
            routes += [
                Page(path, self.metadata),
                Page(f"{path}/ready", self.model_ready),
                Page(f"{path}/config", self.configuration),
                Job(f"{path}/infer", (BINARY, JSON), self.infer, self.check_model),
            ]
        return routes

    @property
    def _model(self) -> Model:
        return self._scorer.model

    def server(self, exchange: Exchange) -> Response:
        """Answer what this server is."""
        return JSONResponse(
            {
                "name": MODEL_NAME,
                "version": importlib.metadata.version("outcrop"),
                "extensions": ["binary_tensor_data", "model_configuration"],
            }
        )

    def ready(self, exchange: Exchange) -> Response:
        """Answer whether the server is ready."""
        self._ready()
        return Response()

    def model_ready(self, exchange: Exchange) -> Response:
        """Answer whether the model is ready."""
        self.check_model(exchange)
        return self.ready(exchange)

    def metadata(self, exchange: Exchange) -> Response:
        """Answer the model's tensors."""
        self.check_model(exchange)
        return JSONResponse(
            {
                "name": MODEL_NAME,
                "versions": [self._model.version],
                "platform": "onnxruntime",
                "inputs": [self._tensor(tensor) for tensor in INPUTS.values()],
                "outputs": [self._tensor(tensor) for tensor in OUTPUTS.values()],
            }
        )

    def configuration(self, exchange: Exchange) -> Response:
        """Answer Triton's view of the model, which load testers ask for."""
        self.check_model(exchange)
        return JSONResponse(
            {
                "name": MODEL_NAME,
                "platform": "onnxruntime",
                "backend": "onnxruntime",
                # The batch is the first dimension of every tensor, as in the metadata.
                "max_batch_size": 0,
                "input": [self._entry(tensor, optional=True) for tensor in INPUTS.values()],
                "output": [self._entry(tensor) for tensor in OUTPUTS.values()],
            }
        )

    def _shape(self, tensor: Tensor) -> list[int]:
        if tensor.columns != -1:
            return tensor.shape
        bins = len(self._model.wave)
        return [-1, bins if tensor.name in _SPECTRUM_BINS else self._model.latents]

    def _tensor(self, tensor: Tensor) -> dict[str, Any]:
        return {
            "name": tensor.name,
            "datatype": tensor.datatypes[0],
            "shape": self._shape(tensor),
        }

    def _entry(self, tensor: Tensor, *, optional: bool = False) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "name": tensor.name,
            "data_type": f"TYPE_{tensor.datatypes[0]}",
            "dims": self._shape(tensor),
        }
        if optional:
            entry["optional"] = tensor.name != "z"
        return entry

    def check_model(self, exchange: Exchange) -> None:
        """Raise a Problem with status 404 for a model or version that is not served."""
        model = exchange.parameters["model"]
        if model != MODEL_NAME:
            raise Problem(
                404, f"model {model[:60]!r} is not here; there is {MODEL_NAME}", reason="not_found"
            )
        version = exchange.parameters.get("version", self._model.version)
        if version != self._model.version:
            raise Problem(
                404,
                f"version {version[:60]!r} of {MODEL_NAME} is not here; there is "
                f"{self._model.version}",
                reason="not_found",
            )

    def infer(self, exchange: Exchange, body: Body) -> Response:
        """Score the spectra of a message."""
        observe = self._metrics.observe_stage
        timer = StageTimer(observe)
        try:
            request = decode_request(body.data, body.form.header_length)
        except WireError as error:
            raise Problem(400, str(error), reason="malformed") from error
        _check_rows("z", len(request.spectra), self._max_spectra)
        timer.lap("read")
        scores = self._scorer.score(
            request.spectra, reconstruction=request.reconstruction, observe=observe
        )
        exchange.scores = scores
        self._metrics.observe_scores(scores, request.spectra.petal)
        timer = StageTimer(observe)
        headers, content = encode_response(scores, request)
        timer.lap("write")
        return Response(content, headers=headers)
