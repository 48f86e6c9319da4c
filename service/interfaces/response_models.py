"""Response models: what each JSON response of the two interfaces holds.

Responses are built from these models, and the OpenAPI document shows them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

import orjson
from pydantic import ConfigDict, Field
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from outcrop import Model, Scores, Status
from outcrop.wire import INPUTS, OUTPUTS

from ..http.responses import ResponseModel


class ModelName(ResponseModel):
    """The model that made a set of scores."""

    name: str
    version: str
    sha256: str
    sample: str = Field(description="`simulated`, or `desi` with the release")

    @staticmethod
    def of(model: Model) -> "ModelName":
        """Return the identity of a model."""
        return ModelName(
            name=model.name, version=model.version, sha256=model.sha256, sample=model.sample
        )


class Wave(ResponseModel):
    """Rest-frame bins by their centres, vacuum Å, evenly spaced."""

    first: float
    last: float
    bins: int


class ModelCard(ModelName):
    """The description of the model."""

    wave: Wave
    latents: int
    redshift_range: tuple[float, float]
    thresholds: dict[str, float] = Field(description="`wmse`: flagged above; `nof`: flagged below")
    p_level: float = Field(description="Spectra with a smaller p_value are anomalies")
    finest_p: float | None = Field(
        description="The smallest p_value that is a rank in the calibration sample; smaller ones "
        "are extrapolated. null where the bundle does not tell"
    )
    packages: dict[str, str] = Field(description="Versions of the packages that score")
    bundle_packages: dict[str, str] = Field(
        description="Versions of the packages that the bundle was made with"
    )
    population: str = Field(description="Targets that the model is fitted on, as `BGS`, or `any`")
    noise_correction: bool | None = Field(
        description="Whether the model is fitted on petals whose noise was corrected by their sky "
        "fibers; spectra have to be like them. null where the bundle does not tell"
    )


class Score(TypedDict):
    """The scores of one spectrum; null where a score cannot be computed."""

    # A dictionary, because a response holds thousands: models take twice the time to make.
    __pydantic_config__ = ConfigDict(extra="forbid")  # pyright: ignore[reportGeneralTypeIssues]

    targetid: str
    status: Annotated[int, Field(description="Bits; `status_names` names them")]
    status_names: list[str]
    snr: Annotated[float | None, Field(description="Median over good bins of flux·√ivar")]
    coverage: Annotated[float, Field(description="Share of the rest-frame bins that are good")]
    norm: float | None
    latent: list[float | None]
    wmse: Annotated[
        float | None, Field(description="Larger is more anomalous; noise alone gives about 1")
    ]
    nof: Annotated[
        float | None, Field(description="Smaller is more anomalous; inliers have about -1")
    ]
    wmse_anomaly: bool
    nof_anomaly: bool
    p_value: Annotated[
        float | None,
        Field(
            description="Probability that an inlier of like S/N and, where spectype is given, "
            "class scores as anomalous; eligible rows only"
        ),
    ]
    anomaly: Annotated[
        bool, Field(description="p_value below the model's level: the flag to act on")
    ]
    p_value_pooled: Annotated[
        float | None, Field(description="The same as p_value, among inliers of all classes")
    ]
    reconstruction: NotRequired[list[float | None]]
    rest_flux: NotRequired[list[float | None]]
    rest_ivar: NotRequired[list[float | None]]


class ScoreAnswer(ResponseModel):
    """The response of `POST /score`: one score for each spectrum, in the request's order."""

    model: ModelName
    scores: list[Score]

    @staticmethod
    def of(model: ModelName, scores: Scores) -> "ScoreAnswer":
        """Return the response that holds these scores."""
        # Not validated, which would take as long as writing it: the arrays have these types.
        return ScoreAnswer.model_construct(model=model, scores=_rows(scores))

    def response(self, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """Return this object as an HTTP response; numbers have the digits of their precision."""
        # orjson writes arrays without a Python object for each number, and NaN as null.
        content = orjson.dumps(
            {"model": self.model.model_dump(), "scores": self.scores},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        return Response(content, status, headers, media_type="application/json")


def _rows(scores: Scores) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {}
    for name, column in scores.columns().items():
        columns[name] = list(column)
        if name == "targetid":
            columns[name] = [str(value) for value in column]
        if name == "status":
            columns["status_names"] = [[bit.name for bit in Status(int(value))] for value in column]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class Server(ResponseModel):
    """The description of the server."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(ResponseModel):
    """One tensor; -1 is the number of spectra."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(ResponseModel):
    """The model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfiguration(ResponseModel):
    """One tensor in Triton's model configuration; -1 is the number of spectra."""

    name: str
    data_type: str
    dims: list[int]
    optional: bool = Field(default=False, description="Of inputs only")


class ModelConfiguration(ResponseModel):
    """Triton's model configuration."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[TensorConfiguration]
    output: list[TensorConfiguration]


class InputTensor(ResponseModel):
    """One input; `data` in JSON, or `parameters.binary_data_size` where bytes follow."""

    name: str = Field(json_schema_extra={"enum": list(INPUTS)})
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = Field(default={})
    data: list[Any] | None = None


class RequestedOutput(ResponseModel):
    """One output to respond with."""

    name: str = Field(json_schema_extra={"enum": list(OUTPUTS)})
    parameters: dict[str, Any] = Field(default={})


class InferRequest(ResponseModel):
    """An inference request, or the JSON header of a binary one."""

    id: str | None = None
    parameters: dict[str, Any] = Field(default={})
    inputs: list[InputTensor]
    outputs: list[RequestedOutput] = Field(default=[])


class OutputTensor(ResponseModel):
    """One output."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = Field(default={})
    data: list[Any] | None = None


class InferAnswer(ResponseModel):
    """An inference response, or the JSON header of a binary one."""

    model_name: str
    model_version: str
    parameters: dict[str, Any] = Field(default={})
    id: str | None = None
    outputs: list[OutputTensor]
