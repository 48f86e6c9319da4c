"""Spectra and scores on the wire: the Open Inference Protocol v2, binary or JSON tensors.

The protocol is what Triton, KServe and MLServer speak. The client encodes requests and decodes
responses, the service does the reverse; both sides are here so that they cannot drift apart.
Everything that arrives is checked before use: any bytes whatever give either a valid object or a
`WireError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ._tensors import (
    HEADER_LENGTH,
    Body,
    Tensor,
    decode,
    encode,
    flag,
    listed,
    name_of,
    object_of,
    parameters_of,
    read_header,
    text,
)
from .errors import WireError
from .scores import Scores
from .spectra import CAMERAS, WAVE, Band, Spectra

__all__ = [
    "DEFAULT_OUTPUTS",
    "HEADER_LENGTH",
    "INPUTS",
    "MODEL_NAME",
    "ON_REQUEST",
    "OUTPUTS",
    "Answer",
    "Request",
    "Tensor",
    "decode_answer",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
]

MODEL_NAME: Final = "outcrop"


def _table(*tensors: Tensor) -> Mapping[str, Tensor]:
    return {tensor.name: tensor for tensor in tensors}


def _suffix(band: str) -> str:
    return "" if band == "brz" else f"_{band}"


# The widest datatypes come first, the narrowest last: so every binary tensor of our own messages
# is aligned and needs no copy.
INPUTS: Final = _table(
    Tensor("z", ("FP64",)),
    Tensor("targetid", ("INT64",)),
    Tensor("status", ("INT32",)),
    Tensor("petal", ("INT32",)),
    *(
        Tensor(kind + _suffix(band), datatypes, len(WAVE[band]))
        for kind, datatypes in (
            ("flux", ("FP32",)),
            ("ivar", ("FP32",)),
            ("mask", ("UINT8", "INT32", "UINT32")),
        )
        for band in ("brz", *CAMERAS)
    ),
)
"""What a request may hold, by name."""

OUTPUTS: Final = _table(
    Tensor("targetid", ("INT64",)),
    Tensor("p_value", ("FP64",)),
    Tensor("status", ("INT32",)),
    Tensor("snr", ("FP32",)),
    Tensor("coverage", ("FP32",)),
    Tensor("norm", ("FP32",)),
    Tensor("latent", ("FP32",), -1),
    Tensor("wmse", ("FP32",)),
    Tensor("nof", ("FP32",)),
    Tensor("reconstruction", ("FP32",), -1),
    Tensor("rest_flux", ("FP32",), -1),
    Tensor("rest_ivar", ("FP32",), -1),
    Tensor("wmse_anomaly", ("BOOL",)),
    Tensor("nof_anomaly", ("BOOL",)),
    Tensor("anomaly", ("BOOL",)),
)
"""What an answer may hold, by name."""

ON_REQUEST: Final = ("reconstruction", "rest_flux", "rest_ivar")
"""The spectra-sized outputs, answered only when a request names them."""

DEFAULT_OUTPUTS: Final = tuple(name for name in OUTPUTS if name not in ON_REQUEST)


@dataclass(frozen=True, eq=False)
class Request:
    """A decoded inference request.

    Attributes
    ----------
    spectra : Spectra
        Its arrays may be read-only views of the message. targetid is 0 where none was sent.
    id : str or None
        To be echoed.
    outputs : tuple of str
        The tensors to answer.
    binary : frozenset of str
        Those of them to answer as bytes, not as JSON.
    """

    spectra: Spectra
    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str]

    @property
    def reconstruction(self) -> bool:
        """Whether any of the spectra-sized outputs is wanted."""
        return any(name in ON_REQUEST for name in self.outputs)


@dataclass(frozen=True, eq=False)
class Answer:
    """A decoded answer to an inference request.

    Attributes
    ----------
    scores : Scores
    model_name, model_version : str or None
        What scored, as the service says.
    """

    scores: Scores
    model_name: str | None
    model_version: str | None


def encode_request(
    spectra: Spectra, *, reconstruction: bool = False, request_id: str | None = None
) -> tuple[dict[str, str], bytes]:
    """Return HTTP headers and body of the request to score these spectra.

    Masks are folded into flux and ivar; z, targetid, status and, where known, petal go along.

    Parameters
    ----------
    spectra : Spectra
    reconstruction : bool
        Ask for the three spectra-sized outputs too.
    request_id : str, optional
        Echoed in the answer.

    Examples
    --------
    >>> import numpy as np
    >>> from outcrop import Band, Spectra
    >>> flux = np.ones((2, 7781), np.float32)
    >>> spectra = Spectra(
    ...     {"brz": Band(flux, flux)}, z=np.array([0.1, np.nan]), targetid=np.array([7, 8])
    ... )
    >>> headers, body = encode_request(spectra, request_id="a1")
    >>> headers["Content-Type"]
    'application/octet-stream'
    >>> request = decode_request(body, int(headers["Inference-Header-Content-Length"]))
    >>> request.id, request.spectra.z
    ('a1', array([0.1, nan]))
    """
    arrays: dict[str, NDArray[Any]] = {
        "z": spectra.z,
        "targetid": spectra.targetid,
        "status": spectra.status,
    }
    if spectra.petal is not None:
        arrays["petal"] = spectra.petal
    for name, band in spectra.bands.items():
        folded = band.folded()
        arrays["flux" + _suffix(name)] = folded.flux
        arrays["ivar" + _suffix(name)] = folded.ivar
    wanted = tuple(OUTPUTS) if reconstruction else DEFAULT_OUTPUTS
    header: dict[str, Any] = {} if request_id is None else {"id": request_id}
    header["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in wanted]
    return encode(header, "inputs", arrays, INPUTS, frozenset(arrays))


def decode_request(body: Body, header_length: int | None = None) -> Request:
    """Read an inference request.

    Binary tensors become views of `body` where their alignment allows.

    Parameters
    ----------
    body : bytes-like
    header_length : int, optional
        Value of the HTTP header ``Inference-Header-Content-Length``; None where it was absent.

    Raises
    ------
    WireError
        Where the message is not a valid request, whatever is wrong with it.
    """
    header, rest = read_header(body, header_length, ("id", "parameters", "inputs", "outputs"))
    outputs, binary = _wanted(header)
    tensors = decode(header, "inputs", rest, INPUTS)
    return Request(_spectra(tensors), text(header, "id"), outputs, binary)


def encode_response(
    scores: Scores, request: Request, model_name: str, model_version: str
) -> tuple[dict[str, str], bytes]:
    """Return HTTP headers and body of the answer to a request.

    NaN and infinities are null where a tensor is answered as JSON.

    Raises
    ------
    ValueError
        Where the request names an output that these scores do not hold.
    """
    columns = scores.columns()
    absent = [name for name in request.outputs if name not in columns]
    if absent:
        raise ValueError(f"scores hold no {absent[0]}; score with reconstruction=True")
    header = {"model_name": model_name, "model_version": model_version}
    if request.id is not None:
        header["id"] = request.id
    arrays = {name: columns[name] for name in OUTPUTS if name in request.outputs}
    return encode(header, "outputs", arrays, OUTPUTS, request.binary)


def decode_answer(body: Body, header_length: int | None = None) -> Answer:
    """Read the answer to an inference request; inverse of `encode_response`.

    Raises
    ------
    WireError
        Where the message is not a valid answer or lacks one of `DEFAULT_OUTPUTS`.
    """
    known = ("model_name", "model_version", "id", "parameters", "outputs")
    header, rest = read_header(body, header_length, known)
    tensors = decode(header, "outputs", rest, OUTPUTS)
    for name in DEFAULT_OUTPUTS:
        _required(tensors, name, "output")
    _same_rows(tensors, "targetid")
    bins = {tensors[name].shape[1] for name in ON_REQUEST if name in tensors}
    if len(bins) > 1:
        raise WireError(f"the spectra-sized outputs have {sorted(bins)} bins; they must agree")
    return Answer(Scores(**tensors), text(header, "model_name"), text(header, "model_version"))


def decode_response(body: Body, header_length: int | None = None) -> Scores:
    """Read the scores of an answer; `decode_answer` without what else it says."""
    return decode_answer(body, header_length).scores


def _wanted(header: Mapping[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    default = flag(parameters_of(header, "the request"), "binary_data_output", False)
    entries = header.get("outputs")
    if entries is None or entries == []:
        return DEFAULT_OUTPUTS, frozenset(DEFAULT_OUTPUTS if default else ())
    binary: dict[str, bool] = {}
    for value in listed(entries, "outputs"):
        entry = object_of(value, "an output", ("name", "parameters"))
        name = name_of(entry, "an output", OUTPUTS)
        if name in binary:
            raise WireError(f"output {name} is named twice; name it once")
        parameters = parameters_of(entry, f"output {name}")
        for key in parameters:
            if key == "classification" or key.startswith("shared_memory"):
                raise WireError(f"output {name} has parameter {key}, which is not offered here")
        binary[name] = flag(parameters, "binary_data", default)
    return tuple(binary), frozenset(name for name, chosen in binary.items() if chosen)


def _required(tensors: Mapping[str, NDArray[Any]], name: str, kind: str) -> NDArray[Any]:
    if name not in tensors:
        raise WireError(f"{kind} {name} is missing; given are {', '.join(tensors) or 'none'}")
    return tensors[name]


def _same_rows(tensors: Mapping[str, NDArray[Any]], first: str) -> None:
    rows = len(tensors[first])
    for name, array in tensors.items():
        if len(array) != rows:
            raise WireError(
                f"{name} has {len(array)} rows, {first} has {rows}; all need one per spectrum"
            )


def _spectra(tensors: Mapping[str, NDArray[Any]]) -> Spectra:
    z = _required(tensors, "z", "input")
    _same_rows(tensors, "z")
    bands: dict[str, Band] = {}
    for band in ("brz", *CAMERAS):
        flux, ivar, mask = (kind + _suffix(band) for kind in ("flux", "ivar", "mask"))
        if flux in tensors or ivar in tensors or mask in tensors:
            bands[band] = Band(
                _required(tensors, flux, "input"),
                _required(tensors, ivar, "input"),
                tensors.get(mask),
            )
    if not bands:
        raise WireError("no flux is given; expected flux and ivar, or flux_b and ivar_b, _r, _z")
    if "brz" in bands and len(bands) > 1:
        raise WireError(
            "flux of the common grid and of single cameras are given; send flux and ivar, "
            "or those of the cameras"
        )
    return Spectra(
        bands,
        z=z,
        targetid=tensors.get("targetid", np.zeros(len(z), np.int64)),
        status=tensors.get("status", np.zeros(len(z), np.int32)),
        petal=tensors.get("petal"),
    )
