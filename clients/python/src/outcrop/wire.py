"""Spectra and scores on the wire: the Open Inference Protocol v2, binary or JSON tensors.

Triton, KServe and MLServer use this protocol. The client encodes requests and decodes responses,
the service does the reverse; both sides are here so that they cannot drift apart. Every message
is checked before use: any bytes give either a valid object or a `WireError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import WireError
from .model import ModelIdentity
from .scores import ON_REQUEST, Scores
from .spectra import CAMERAS, CANDIDATES, SPECTYPES, WAVE, Band, Spectra
from .strict_json import decode
from .tensors import (
    HEADER_LENGTH,
    Body,
    Tensor,
    TensorEntry,
    TensorText,
    check_name,
    check_tensors,
    encode,
    read_tensors,
    split_body,
)

__all__ = [
    "DEFAULT_OUTPUTS",
    "HEADER_LENGTH",
    "INPUTS",
    "MODEL_NAME",
    "OUTPUTS",
    "Request",
    "RequestHeader",
    "Tensor",
    "decode_request",
    "decode_request_header",
    "decode_response",
    "encode_request",
    "encode_response",
]

T = TypeVar("T")

MODEL_NAME: Final = "outcrop"

_SHA256: Final = "model_sha256"
_TARGETING: Final = ("desi_target", "bgs_target", "mws_target")
_CODES: Final = np.array(["", *SPECTYPES])
"""The spectype of each code that is sent."""
_MAX_OBJECTS: Final = 256
"""In one JSON header; every tensor of both tables, with parameters, has less than half as many."""


def _by_name(*tensors: Tensor) -> Mapping[str, Tensor]:
    return {tensor.name: tensor for tensor in tensors}


def _suffix(band: str) -> str:
    return "" if band == "brz" else f"_{band}"


# The widest datatypes come first, the narrowest last: so every binary tensor of our own messages
# is aligned and needs no copy.
INPUTS: Final = _by_name(
    Tensor("z", ("FP64",)),
    Tensor("z_candidates", ("FP64",), CANDIDATES),
    Tensor("targetid", ("INT64",)),
    *(Tensor(name, ("INT64",)) for name in _TARGETING),
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
    Tensor("spectype", ("UINT8",)),
)
"""The tensors that a request may hold, by name."""

OUTPUTS: Final = _by_name(
    Tensor("targetid", ("INT64",)),
    Tensor("p_value", ("FP64",)),
    Tensor("p_value_pooled", ("FP64",)),
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
"""The tensors that a response may hold, by name."""

DEFAULT_OUTPUTS: Final = tuple(name for name in OUTPUTS if name not in ON_REQUEST)


# Parameters are open: unknown ones are ignored.
class _RequestParameters(msgspec.Struct):
    binary_data_output: bool = False


class _OutputParameters(msgspec.Struct):
    binary_data: bool | None = None
    classification: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    shared_memory_region: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    shared_memory_offset: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    shared_memory_byte_size: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _RequestedOutput(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parameters: _OutputParameters | None = None


class _RequestText(msgspec.Struct, forbid_unknown_fields=True):
    inputs: list[TensorText]
    id: str | None = None
    parameters: _RequestParameters | None = None
    outputs: list[_RequestedOutput] | None = None


class _ResponseParameters(msgspec.Struct):
    model_sha256: str | None = None


class _ResponseText(msgspec.Struct, forbid_unknown_fields=True):
    outputs: list[TensorText]
    model_name: str | None = None
    model_version: str | None = None
    id: str | None = None
    parameters: _ResponseParameters | None = None


_REQUEST: Final = msgspec.json.Decoder(_RequestText)
_RESPONSE: Final = msgspec.json.Decoder(_ResponseText)
_UNSUPPORTED: Final = tuple(
    name for name in _OutputParameters.__struct_fields__ if name != "binary_data"
)


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
        Names of the tensors to return.
    binary : frozenset of str
        Those of them to return as bytes, not as JSON.
    """

    spectra: Spectra
    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str]

    @property
    def reconstruction(self) -> bool:
        """Whether any of the spectra-sized outputs is requested."""
        return any(name in ON_REQUEST for name in self.outputs)


@dataclass(frozen=True)
class RequestHeader:
    """The JSON header of an inference request, checked before its tensors have arrived.

    Attributes
    ----------
    id : str or None
    outputs : tuple of str
    binary : frozenset of str
        As in `Request`.
    inputs : mapping of str to TensorEntry
        By name, in the order of the tensors' bytes. All have one row per spectrum.
    """

    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str]
    inputs: Mapping[str, TensorEntry]

    @property
    def spectra(self) -> int:
        """Number of spectra."""
        return self.inputs["z"].shape[0]

    @property
    def tensor_bytes(self) -> int:
        """Number of bytes that must follow the header."""
        return sum(entry.size or 0 for entry in self.inputs.values())


def encode_request(
    spectra: Spectra, *, reconstruction: bool = False, request_id: str | None = None
) -> tuple[dict[str, str], bytes]:
    """Return HTTP headers and body of the request to score these spectra.

    Masks are folded into flux and ivar; z, targetid, status and, where known, petal, spectype,
    the target bits and redrock's next best redshifts are sent too.

    Parameters
    ----------
    spectra : Spectra
    reconstruction : bool
        Ask for the three spectra-sized outputs too.
    request_id : str, optional
        Echoed in the response.

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
    given = ("z", "z_candidates", "targetid", *_TARGETING, "status", "petal")
    columns = spectra.columns()
    # In the order of their datatypes' widths, as in the table.
    arrays: dict[str, NDArray[Any]] = {name: columns[name] for name in given if name in columns}
    masks: dict[str, NDArray[Any]] = {}
    for name, band in spectra.bands.items():
        for kind, values in (("flux", band.flux), ("ivar", band.ivar)):
            arrays[kind + _suffix(name)] = values
            if band.mask is not None:
                masks[kind + _suffix(name)] = band.mask
    if spectra.spectype is not None:
        arrays["spectype"] = _codes(spectra.spectype)

    outputs = tuple(OUTPUTS) if reconstruction else DEFAULT_OUTPUTS
    header: dict[str, Any] = {} if request_id is None else {"id": request_id}
    header["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    return encode(header, "inputs", arrays, INPUTS, frozenset(arrays), masks)


def decode_request_header(body: Body, header_length: int | None = None) -> RequestHeader:
    """Read and check the JSON header of an inference request.

    Parameters
    ----------
    body : bytes-like
        The message, or at least its first `header_length` bytes.
    header_length : int, optional
        Value of the HTTP header ``Inference-Header-Content-Length``; None where it was absent.

    Raises
    ------
    WireError
        Where the header is not that of a valid request.
    """
    content, _ = split_body(body, header_length)
    header = _decode(_REQUEST, content)
    outputs, binary = _requested(header)
    inputs = check_tensors(header.inputs, "input", INPUTS)
    _require(inputs, "z", "input")
    _check_rows(inputs, "z")
    return RequestHeader(header.id, outputs, binary, inputs)


def decode_request(
    body: Body, header_length: int | None = None, header: RequestHeader | None = None
) -> Request:
    """Read an inference request.

    Binary tensors become views of `body` where their alignment allows.

    Parameters
    ----------
    body : bytes-like
    header_length : int, optional
        Value of the HTTP header ``Inference-Header-Content-Length``; None where it was absent.
    header : RequestHeader, optional
        The result of `decode_request_header` for this message, where it was read before.

    Raises
    ------
    WireError
        Where the message is not a valid request.
    """
    if header is None:
        header = decode_request_header(body, header_length)
    _, rest = split_body(body, header_length)
    arrays = read_tensors(header.inputs, rest)
    return Request(_spectra(arrays), header.id, header.outputs, header.binary)


def encode_response(scores: Scores, request: Request) -> tuple[dict[str, str], bytes]:
    """Return HTTP headers and body of the response to a request.

    The model's name, version and sha256 are those of the scores. NaN and infinities are null
    where a tensor is sent as JSON.

    Raises
    ------
    ValueError
        Where the request names an output that these scores do not hold.
    """
    columns = scores.columns()
    absent = [name for name in request.outputs if name not in columns]
    if absent:
        raise ValueError(f"scores hold no {absent[0]}; score with reconstruction=True")

    header: dict[str, Any] = {
        "model_name": scores.model.name,
        "model_version": scores.model.version,
        "parameters": {_SHA256: scores.model.sha256},
    }
    if request.id is not None:
        header["id"] = request.id
    arrays = {name: columns[name] for name in OUTPUTS if name in request.outputs}
    return encode(header, "outputs", arrays, OUTPUTS, request.binary)


def decode_response(body: Body, header_length: int | None = None) -> Scores:
    """Read the response to an inference request; inverse of `encode_response`.

    Raises
    ------
    WireError
        Where the message is not a valid response, does not identify the model, or lacks one of
        `DEFAULT_OUTPUTS`.
    """
    content, rest = split_body(body, header_length)
    header = _decode(_RESPONSE, content)
    model = _model_identity(header)

    outputs = check_tensors(header.outputs, "output", OUTPUTS)
    for name in DEFAULT_OUTPUTS:
        _require(outputs, name, "output")
    _check_rows(outputs, "targetid")
    bins = {outputs[name].shape[1] for name in ON_REQUEST if name in outputs}
    if len(bins) > 1:
        raise WireError(f"the spectra-sized outputs have {sorted(bins)} bins; they must agree")

    return Scores(model=model, **read_tensors(outputs, rest))


def _decode(decoder: msgspec.json.Decoder[T], content: memoryview) -> T:
    text = bytes(content)
    # Its length is often what is wrong.
    what = f"the JSON header of {len(text)} bytes"
    # Before any is made.
    objects = text.count(b"{")
    if objects > _MAX_OBJECTS:
        raise WireError(f"{what} holds {objects} objects; send at most {_MAX_OBJECTS}")
    return decode(decoder, text, what)


def _model_identity(header: _ResponseText) -> ModelIdentity:
    name, version = header.model_name, header.model_version
    sha256 = header.parameters and header.parameters.model_sha256
    if not name or not version or not sha256 or not f"{name}{version}{sha256}".isprintable():
        raise WireError(
            f"model_name is {name!r}, model_version {version!r}, parameter {_SHA256} {sha256!r}; "
            "a response must have all three, printable"
        )
    return ModelIdentity(name, version, sha256)


def _requested(header: _RequestText) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the requested outputs, and of those requested as bytes."""
    default = (header.parameters or _RequestParameters()).binary_data_output
    if not header.outputs:
        return DEFAULT_OUTPUTS, frozenset(DEFAULT_OUTPUTS if default else ())

    binary: dict[str, bool] = {}
    for output in header.outputs:
        name, parameters = output.name, output.parameters or _OutputParameters()
        check_name(name, "an output", OUTPUTS)
        if name in binary:
            raise WireError(f"output {name} is named twice; name it once")
        for key in _UNSUPPORTED:
            if getattr(parameters, key) is not msgspec.UNSET:
                raise WireError(f"output {name} has parameter {key}, which is not supported")
        binary[name] = default if parameters.binary_data is None else parameters.binary_data
    return tuple(binary), frozenset(name for name, chosen in binary.items() if chosen)


def _require(tensors: Mapping[str, object], name: str, kind: str) -> None:
    if name not in tensors:
        raise WireError(f"{kind} {name} is missing; given are {', '.join(tensors) or 'none'}")


def _check_rows(tensors: Mapping[str, TensorEntry], first: str) -> None:
    rows = tensors[first].shape[0]
    for name, entry in tensors.items():
        if entry.shape[0] != rows:
            raise WireError(
                f"{name} has {entry.shape[0]} rows, {first} has {rows}; all need one per spectrum"
            )


def _codes(spectype: NDArray[np.str_]) -> NDArray[np.uint8]:
    """Return the code of each spectype; 0 where it is none of redrock's classes."""
    codes = np.zeros(len(spectype), np.uint8)
    for code, name in enumerate(SPECTYPES, 1):
        codes[spectype == name] = code
    return codes


def _spectypes(codes: NDArray[np.uint8]) -> NDArray[np.str_]:
    unknown = codes[codes >= len(_CODES)]
    if len(unknown):
        raise WireError(
            f"input spectype has the value {unknown[0]}; expected 0 where unknown, "
            f"{', '.join(f'{code} {name}' for code, name in enumerate(SPECTYPES, 1))}"
        )
    return _CODES[codes]


def _spectra(arrays: Mapping[str, NDArray[Any]]) -> Spectra:
    z = arrays["z"]
    codes = arrays.get("spectype")
    return Spectra(
        _bands(arrays),
        z=z,
        targetid=arrays.get("targetid", np.zeros(len(z), np.int64)),
        status=arrays.get("status", np.zeros(len(z), np.int32)),
        petal=arrays.get("petal"),
        spectype=None if codes is None else _spectypes(codes),
        desi_target=arrays.get("desi_target"),
        bgs_target=arrays.get("bgs_target"),
        mws_target=arrays.get("mws_target"),
        z_candidates=arrays.get("z_candidates"),
    )


def _bands(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Band]:
    bands: dict[str, Band] = {}
    for band in ("brz", *CAMERAS):
        flux, ivar, mask = (kind + _suffix(band) for kind in ("flux", "ivar", "mask"))
        if flux in arrays or ivar in arrays or mask in arrays:
            _require(arrays, flux, "input")
            _require(arrays, ivar, "input")
            bands[band] = Band(arrays[flux], arrays[ivar], arrays.get(mask))

    if not bands:
        raise WireError("no flux is given; expected flux and ivar, or flux_b and ivar_b, _r, _z")
    if "brz" in bands and len(bands) > 1:
        raise WireError(
            "flux of the common grid and of single cameras are given; send flux and ivar, "
            "or those of the cameras"
        )
    return bands
