"""Answers: what each JSON answer holds, for the OpenAPI document.

Answers are built elsewhere, from arrays; the tests hold them to these models.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from outcrop.wire import INPUTS, OUTPUTS


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Error(_Answer):
    """Every error."""

    error: str = Field(description="The field or header at fault, its value and the remedy")
    request_id: str = Field(description="What the server's log calls the request")


class State(_Answer):
    """A probe's answer."""

    status: Literal["alive", "ready"]


class ModelName(_Answer):
    """The model that made a set of scores."""

    name: str
    version: str
    sha256: str
    sample: str = Field(description="`simulated`, or `desi` with the release")


class Wave(_Answer):
    """Rest-frame bins by their centres, vacuum Å, evenly spaced."""

    first: float
    last: float
    bins: int


class ModelCard(ModelName):
    """What the model says of itself."""

    wave: Wave
    latents: int
    redshift_range: tuple[float, float]
    thresholds: dict[str, float] = Field(description="`wmse`: flagged above; `nof`: flagged below")
    p_level: float = Field(description="Spectra with a smaller p_value are anomalies")
    packages: dict[str, str]


class Score(_Answer):
    """What the model says of one spectrum; null where a score cannot be computed."""

    targetid: str
    status: int = Field(description="Bits; `status_names` spells them out")
    status_names: list[str]
    snr: float | None = Field(description="Median over good bins of flux·√ivar")
    coverage: float = Field(description="Share of the rest-frame bins that are good")
    norm: float | None
    latent: list[float | None]
    wmse: float | None = Field(description="Larger is more anomalous; noise alone gives about 1")
    nof: float | None = Field(description="Smaller is more anomalous; inliers have about -1")
    wmse_anomaly: bool
    nof_anomaly: bool
    p_value: float | None = Field(
        description="Probability that an inlier scores as anomalous; eligible rows only"
    )
    anomaly: bool = Field(description="p_value below the model's level: the flag to act on")
    reconstruction: list[float | None] | None = None
    rest_flux: list[float | None] | None = None
    rest_ivar: list[float | None] | None = None


class ScoreAnswer(_Answer):
    """What `POST /score` answers: one score for each spectrum, in the request's order."""

    model: ModelName
    scores: list[Score]


class Server(_Answer):
    """What this server is."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(_Answer):
    """One tensor; -1 is the number of spectra."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Answer):
    """The model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelConfiguration(_Answer):
    """Triton's view of the model."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[dict[str, Any]]
    output: list[dict[str, Any]]


class InputTensor(_Answer):
    """One input; `data` in JSON, or `parameters.binary_data_size` where bytes follow."""

    name: str = Field(json_schema_extra={"enum": list(INPUTS)})
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class WantedOutput(_Answer):
    """One output to answer."""

    name: str = Field(json_schema_extra={"enum": list(OUTPUTS)})
    parameters: dict[str, Any] = {}


class InferRequest(_Answer):
    """An inference request, or the JSON that leads a binary one."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[InputTensor]
    outputs: list[WantedOutput] = []


class OutputTensor(_Answer):
    """One output."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class InferAnswer(_Answer):
    """An inference answer, or the JSON that leads a binary one."""

    model_name: str
    model_version: str
    parameters: dict[str, Any] = {}
    id: str | None = None
    outputs: list[OutputTensor]
