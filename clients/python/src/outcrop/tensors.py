"""Tensors of the Open Inference Protocol v2: a JSON header, then bytes.

A message is a JSON header, followed, where tensors are binary, by their bytes in the header's
order: little-endian, row-major, each as long as its ``binary_data_size``. The HTTP header
``Inference-Header-Content-Length`` is the length of the JSON; without it the whole body is JSON
and tensors are lists under ``data``. Nothing here depends on the meaning of the tensors.
"""

import io
import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from .errors import WireError

HEADER_LENGTH: Final = "Inference-Header-Content-Length"

Body = bytes | bytearray | memoryview

_DTYPES: Final = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "INT32": np.dtype("<i4"),
    "UINT32": np.dtype("<u4"),
    "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_ALIGNMENT: Final = 8  # of the widest datatype
_BLOCK_BYTES: Final = 1 << 18  # written at a time: they stay in the processor's cache
_MAX_INT64: Final = 2**63 - 1
_JSON_TYPES: Final[Mapping[str, set[type]]] = {"b": {bool}, "f": {int, float, type(None)}}


@dataclass(frozen=True)
class Tensor:
    """One row of the tables of inputs and outputs.

    Attributes
    ----------
    name : str
    datatypes : tuple of str
        Those accepted when reading; the first is used when writing.
    columns : int or None
        None: shape (N,). -1: (N, C), where C depends on the model. Otherwise (N, columns).
    """

    name: str
    datatypes: tuple[str, ...]
    columns: int | None = None

    @property
    def shape(self) -> list[int]:
        """The shape as the protocol's metadata states it, -1 where it varies."""
        return [-1] if self.columns is None else [-1, self.columns]

    def fits(self, shape: Sequence[int]) -> bool:
        """Return whether an array of this shape can be this tensor."""
        if len(shape) != len(self.shape):
            return False
        return self.columns in (None, -1) or shape[1] == self.columns


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a message as its JSON header describes it, checked but for its values.

    Attributes
    ----------
    label : str
        For messages, as ``input flux_b``.
    shape : tuple of int
        The first is the number of spectra.
    datatype : str
    size : int or None
        Bytes of a binary tensor; None where the values are in the header.
    data : object
        Those values, not checked yet; None where the tensor is binary.
    """

    label: str
    shape: tuple[int, ...]
    datatype: str
    size: int | None
    data: object


def encode(
    header: Mapping[str, Any],
    key: str,
    arrays: Mapping[str, NDArray[Any]],
    table: Mapping[str, Tensor],
    binary: frozenset[str],
    masks: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> tuple[dict[str, str], bytes]:
    """Return HTTP headers and body of a message.

    Parameters
    ----------
    header : mapping
        The JSON header, without its tensors.
    key : str
        The field of the tensors: inputs or outputs.
    arrays : mapping of str to array
        Converted to the first datatype of their row of the table.
    table : mapping of str to Tensor
    binary : frozenset of str
        Names of the tensors to send as bytes. In the others NaN and infinities become null.
    masks : mapping of str to array
        By name of a tensor that is sent as bytes, of its shape: where it is not 0, 0 is sent.
    """
    entries: list[dict[str, Any]] = []
    parts: list[tuple[NDArray[Any], NDArray[Any] | None]] = []
    for name, array in arrays.items():
        datatype = table[name].datatypes[0]
        data = np.ascontiguousarray(array, dtype=_DTYPES[datatype])
        entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(data.shape)}
        if name in binary:
            entry["parameters"] = {"binary_data_size": data.nbytes}
            parts.append((data, masks.get(name)))
        else:
            entry["data"] = _json_numbers(data)
        entries.append(entry)

    leading = json.dumps({**header, key: entries}, allow_nan=False).encode()
    if not parts:
        return {"Content-Type": "application/json"}, leading

    leading += b" " * (-len(leading) % _ALIGNMENT)
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(leading))}
    body = io.BytesIO()
    body.write(leading)
    for data, mask in parts:
        _write(body, data, mask)
    return headers, body.getvalue()


def _write(body: io.BytesIO, data: NDArray[Any], mask: NDArray[Any] | None) -> None:
    """Write the numbers of an array, 0 where its mask is not 0."""
    if mask is None:
        body.write(data.data)
        return
    rows = max(1, _BLOCK_BYTES // max(1, data[:1].nbytes))
    for start in range(0, len(data), rows):
        block = data[start : start + rows].copy()
        # Few pixels are bad: this takes half the time of np.where.
        np.copyto(block, 0, where=mask[start : start + rows] != 0)
        body.write(block.data)


def _json_numbers(array: NDArray[Any]) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [value if math.isfinite(value) else None for value in values]
    return values


def split_body(body: Body, header_length: int | None) -> tuple[memoryview, memoryview]:
    """Return the JSON header of a message and the bytes after it."""
    view = memoryview(body)
    end = len(view) if header_length is None else header_length
    if not 0 <= end <= len(view):
        raise WireError(f"{HEADER_LENGTH} is {end}; the body has {len(view)} bytes")
    return view[:end], view[end:]


def parse_json(content: memoryview, known: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object of a header, which may have only the `known` fields."""
    try:
        header = json.loads(str(content, "utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(
            f"the JSON header cannot be read: {error}; it is the first {len(content)} bytes of "
            f"the body, the value of {HEADER_LENGTH}, or all of it"
        ) from error
    return object_of(header, "the message", known)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON; write null for a missing value")


def object_of(value: object, what: str, known: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a value that must be a JSON object, with only the `known` fields."""
    if not isinstance(value, dict):
        raise WireError(f"{what} is {reprlib.repr(value)}; expected a JSON object")
    fields = cast(dict[str, Any], value)
    for key in fields:
        if known is not None and key not in known:
            raise WireError(
                f"{what} has an unknown field {reprlib.repr(key)}; known are {', '.join(known)}"
            )
    return fields


def list_of(value: object, what: str) -> list[Any]:
    """Return a value that must be a JSON list."""
    if not isinstance(value, list):
        raise WireError(f"{what} is {reprlib.repr(value)}; expected a JSON list")
    return cast(list[Any], value)


def text_of(owner: Mapping[str, Any], key: str) -> str | None:
    """Return a field that must be a string where it is present."""
    value = owner.get(key)
    if value is not None and not isinstance(value, str):
        raise WireError(f"{key} is {reprlib.repr(value)}; expected a string")
    return value


def flag_of(parameters: Mapping[str, Any], key: str, default: bool) -> bool:
    """Return a parameter that must be true or false where it is present."""
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise WireError(f"parameter {key} is {reprlib.repr(value)}; expected true or false")
    return value


def parameters_of(owner: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the parameters of a message or a tensor, empty where there are none."""
    # The protocol leaves parameters open; unknown ones are ignored.
    value = owner.get("parameters")
    return {} if value is None else object_of(value, f"parameters of {what}")


def name_of(entry: Mapping[str, Any], kind: str, table: Mapping[str, Tensor]) -> str:
    """Return the name of a tensor, which must be in the table."""
    name = entry.get("name")
    if not isinstance(name, str) or name not in table:
        raise WireError(f"{kind} has name {reprlib.repr(name)}; known are {', '.join(table)}")
    return name


def parse_tensors(
    header: Mapping[str, Any], key: str, table: Mapping[str, Tensor]
) -> dict[str, TensorEntry]:
    """Return what a JSON header states of each tensor, by name.

    Parameters
    ----------
    header : mapping
        The JSON header.
    key : str
        The field of the tensors: inputs or outputs.
    table : mapping of str to Tensor
        The tensors that are allowed.

    Raises
    ------
    WireError
        Where a tensor is not in the table or given twice, or where its datatype, shape and size
        do not fit.
    """
    kind = key.removesuffix("s")
    tensors: dict[str, TensorEntry] = {}
    for value in list_of(header.get(key), key):
        entry = object_of(value, f"an {kind}", ("name", "shape", "datatype", "parameters", "data"))
        name = name_of(entry, f"an {kind}", table)
        if name in tensors:
            raise WireError(f"{kind} {name} is given twice; give it once")
        tensors[name] = _parse_tensor(entry, f"{kind} {name}", table[name])
    return tensors


def _parse_tensor(entry: Mapping[str, Any], label: str, tensor: Tensor) -> TensorEntry:
    shape = _shape(entry.get("shape"), label, tensor)
    datatype = entry.get("datatype")
    if datatype not in tensor.datatypes:
        raise WireError(
            f"{label} has datatype {reprlib.repr(datatype)}; "
            f"expected {' or '.join(tensor.datatypes)}"
        )

    data = entry.get("data")
    size = parameters_of(entry, label).get("binary_data_size")
    if size is None:
        return TensorEntry(label, shape, datatype, None, data)

    if data is not None:
        raise WireError(f"{label} has both data and binary_data_size; give one of them")
    expected = math.prod(shape) * _DTYPES[datatype].itemsize
    if type(size) is not int or size != expected:
        raise WireError(
            f"{label} has binary_data_size {reprlib.repr(size)}; "
            f"{datatype} of shape {shape} has {expected} bytes"
        )
    return TensorEntry(label, shape, datatype, size, None)


def _shape(value: object, label: str, tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(list_of(value, f"shape of {label}"))
    if not all(type(n) is int and 0 <= n <= _MAX_INT64 for n in shape) or not tensor.fits(shape):
        expected = ", ".join(["N", *("C" if n < 0 else str(n) for n in tensor.shape[1:])])
        raise WireError(f"{label} has shape {reprlib.repr(list(shape))}; expected [{expected}]")
    return shape


def read_tensors(tensors: Mapping[str, TensorEntry], rest: memoryview) -> dict[str, NDArray[Any]]:
    """Return the arrays of a message's tensors, by name.

    Parameters
    ----------
    tensors : mapping of str to TensorEntry
        In the header's order.
    rest : memoryview
        The bytes after the header; binary tensors are views of them where aligned.

    Raises
    ------
    WireError
        Where values in the header do not fit, or where bytes are missing or left over.
    """
    arrays: dict[str, NDArray[Any]] = {}
    start = 0
    for name, entry in tensors.items():
        if entry.size is None:
            arrays[name] = _from_json(entry)
            continue
        if entry.size > len(rest) - start:
            raise WireError(
                f"{entry.label} has binary_data_size {entry.size}, but only {len(rest) - start} "
                "bytes of the body are left for it; was the body truncated?"
            )
        arrays[name] = _from_bytes(rest[start : start + entry.size], entry)
        start += entry.size

    if start != len(rest):
        raise WireError(
            f"{len(rest) - start} bytes follow the last tensor; expected none: "
            "the binary_data_size must add up to the body"
        )
    return arrays


def _from_bytes(data: memoryview, entry: TensorEntry) -> NDArray[np.generic]:
    dtype = _DTYPES[entry.datatype]
    if dtype.kind == "b":
        # A bool array over bytes other than 0 and 1 would misbehave.
        return (np.frombuffer(data, np.uint8) != 0).reshape(entry.shape)
    array = np.frombuffer(data, dtype).reshape(entry.shape)
    # Compiled code needs aligned native numbers; in our own messages they are so already.
    return np.require(array.astype(dtype.newbyteorder("="), copy=False), requirements="A")


def _from_json(entry: TensorEntry) -> NDArray[np.generic]:
    label, shape, datatype = entry.label, entry.shape, entry.datatype
    values = _flat(list_of(entry.data, f"data of {label}"), label, shape)

    dtype = _DTYPES[datatype]
    allowed = _JSON_TYPES.get(dtype.kind, {int})
    for kind in set(map(type, values)) - allowed:
        culprit = next(v for v in values if type(v) is kind)
        raise WireError(f"data of {label} holds {reprlib.repr(culprit)}; expected {datatype}")

    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype.newbyteorder("=")).reshape(shape)
    except OverflowError as error:
        raise WireError(f"data of {label} is beyond the range of {datatype}: {error}") from error
    # JSON has no infinity: one that appears here was a number too large.
    if dtype.kind == "f" and np.isinf(array).any():
        raise WireError(f"data of {label} is beyond the range of {datatype}; write null if missing")
    return array


def _flat(values: list[Any], label: str, shape: tuple[int, ...]) -> list[Any]:
    """Return the values of a tensor, given flat or as one list per row, as one flat list."""
    if values and all(isinstance(row, list) for row in values):
        rows = cast(list[list[Any]], values)
        if len(shape) != 2 or (len(rows), *{len(row) for row in rows}) != shape:
            raise WireError(f"data of {label} is nested; expected lists of shape {list(shape)}")
        values = list(chain.from_iterable(rows))
    if len(values) != math.prod(shape):
        raise WireError(
            f"data of {label} has {len(values)} values; shape {list(shape)} has {math.prod(shape)}"
        )
    return values
