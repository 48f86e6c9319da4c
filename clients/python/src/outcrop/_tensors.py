"""Tensors of the Open Inference Protocol v2: a JSON header, then bytes.

A message is a JSON header, followed, where tensors are binary, by their bytes in the header's
order: little-endian, row-major, each as long as its ``binary_data_size``. The HTTP header
``Inference-Header-Content-Length`` says where the JSON ends; without it the whole body is JSON and
tensors are lists under ``data``. Nothing here knows what the tensors mean.
"""

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
_MAX_INT64: Final = 2**63 - 1
_JSON_TYPES: Final[Mapping[str, set[type]]] = {"b": {bool}, "f": {int, float, type(None)}}


@dataclass(frozen=True)
class Tensor:
    """One row of the tables of inputs and outputs.

    Attributes
    ----------
    name : str
    datatypes : tuple of str
        Those that are read, the one that is written first.
    columns : int or None
        None: shape (N,). -1: (N, C) where the model decides C. Otherwise (N, columns).
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


def encode(
    header: Mapping[str, Any],
    key: str,
    arrays: Mapping[str, NDArray[Any]],
    table: Mapping[str, Tensor],
    binary: frozenset[str],
) -> tuple[dict[str, str], bytes]:
    """Return HTTP headers and body of a message.

    Parameters
    ----------
    header : mapping
        The JSON header, without its tensors.
    key : str
        Where the tensors go: inputs or outputs.
    arrays : mapping of str to array
        Converted to the first datatype of their row of the table.
    table : mapping of str to Tensor
    binary : frozenset of str
        Those that go as bytes. In the others NaN and infinities become null.
    """
    entries: list[dict[str, Any]] = []
    parts: list[memoryview] = []
    for name, array in arrays.items():
        datatype = table[name].datatypes[0]
        data = np.ascontiguousarray(array, dtype=_DTYPES[datatype])
        entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(data.shape)}
        if name in binary:
            entry["parameters"] = {"binary_data_size": data.nbytes}
            parts.append(data.data)
        else:
            entry["data"] = _json_numbers(data)
        entries.append(entry)
    leading = json.dumps({**header, key: entries}, allow_nan=False).encode()
    if not parts:
        return {"Content-Type": "application/json"}, leading
    leading += b" " * (-len(leading) % _ALIGNMENT)
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(leading))}
    return headers, b"".join([leading, *parts])


def _json_numbers(array: NDArray[Any]) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [value if math.isfinite(value) else None for value in values]
    return values


def read_header(
    body: Body, header_length: int | None, known: Sequence[str]
) -> tuple[dict[str, Any], memoryview]:
    """Return the JSON header of a message, which may have the `known` fields, and its bytes."""
    view = memoryview(body)
    end = len(view) if header_length is None else header_length
    if not 0 <= end <= len(view):
        raise WireError(f"{HEADER_LENGTH} is {end}; the body has {len(view)} bytes")
    try:
        header = json.loads(str(view[:end], "utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(
            f"the JSON header cannot be read: {error}; it is the first {end} bytes of the body, "
            f"as {HEADER_LENGTH} says, or all of it"
        ) from error
    return object_of(header, "the message", known), view[end:]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON; write null for a missing value")


def object_of(value: object, what: str, known: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a value that must be a JSON object, with no field but the `known` ones."""
    if not isinstance(value, dict):
        raise WireError(f"{what} is {reprlib.repr(value)}; expected a JSON object")
    fields = cast(dict[str, Any], value)
    for key in fields:
        if known is not None and key not in known:
            raise WireError(
                f"{what} has an unknown field {reprlib.repr(key)}; known are {', '.join(known)}"
            )
    return fields


def listed(value: object, what: str) -> list[Any]:
    """Return a value that must be a JSON list."""
    if not isinstance(value, list):
        raise WireError(f"{what} is {reprlib.repr(value)}; expected a JSON list")
    return cast(list[Any], value)


def text(header: Mapping[str, Any], key: str) -> str | None:
    """Return a field that must be a string where it is there."""
    value = header.get(key)
    if value is not None and not isinstance(value, str):
        raise WireError(f"{key} is {reprlib.repr(value)}; expected a string")
    return value


def flag(parameters: Mapping[str, Any], key: str, default: bool) -> bool:
    """Return a parameter that must be true or false where it is there."""
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise WireError(f"parameter {key} is {reprlib.repr(value)}; expected true or false")
    return value


def parameters_of(owner: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the parameters of a message or a tensor, empty where there are none."""
    # The protocol leaves parameters open; those of no meaning here are ignored.
    value = owner.get("parameters")
    return {} if value is None else object_of(value, f"parameters of {what}")


def name_of(entry: Mapping[str, Any], kind: str, table: Mapping[str, Tensor]) -> str:
    """Return the name of a tensor, which must be in the table."""
    name = entry.get("name")
    if not isinstance(name, str) or name not in table:
        raise WireError(f"{kind} has name {reprlib.repr(name)}; known are {', '.join(table)}")
    return name


def decode(
    header: Mapping[str, Any], key: str, rest: memoryview, table: Mapping[str, Tensor]
) -> dict[str, NDArray[Any]]:
    """Return the tensors of a message by name.

    Parameters
    ----------
    header : mapping
        The JSON header.
    key : str
        Where the tensors are: inputs or outputs.
    rest : memoryview
        The bytes after the header; binary tensors are views of them where aligned.
    table : mapping of str to Tensor
        What is allowed.

    Raises
    ------
    WireError
        Where a tensor is not in the table, given twice, or its datatype, shape, size or values
        do not fit, or bytes are missing or left over.
    """
    kind = key.removesuffix("s")
    tensors: dict[str, NDArray[Any]] = {}
    start = 0
    for value in listed(header.get(key), key):
        entry = object_of(value, f"an {kind}", ("name", "shape", "datatype", "parameters", "data"))
        name = name_of(entry, f"an {kind}", table)
        what = f"{kind} {name}"
        if name in tensors:
            raise WireError(f"{what} is given twice; give it once")
        shape = _shape(entry.get("shape"), what, table[name])
        datatype = entry.get("datatype")
        if datatype not in table[name].datatypes:
            raise WireError(
                f"{what} has datatype {reprlib.repr(datatype)}; "
                f"expected {' or '.join(table[name].datatypes)}"
            )
        dtype = _DTYPES[datatype]
        size = parameters_of(entry, what).get("binary_data_size")
        if size is None:
            tensors[name] = _from_json(entry.get("data"), what, shape, datatype)
            continue
        if entry.get("data") is not None:
            raise WireError(f"{what} has both data and binary_data_size; give one of them")
        expected = math.prod(shape) * dtype.itemsize
        if type(size) is not int or size != expected:
            raise WireError(
                f"{what} has binary_data_size {reprlib.repr(size)}; "
                f"{datatype} of shape {shape} has {expected} bytes"
            )
        if size > len(rest) - start:
            raise WireError(
                f"{what} has binary_data_size {size}, but only {len(rest) - start} bytes of the "
                "body are left for it; was the body cut off?"
            )
        tensors[name] = _from_bytes(rest[start : start + size], shape, dtype)
        start += size
    if start != len(rest):
        raise WireError(
            f"{len(rest) - start} bytes follow the last tensor; expected none: "
            "the binary_data_size must add up to the body"
        )
    return tensors


def _shape(value: object, what: str, tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(listed(value, f"shape of {what}"))
    if not all(type(n) is int and 0 <= n <= _MAX_INT64 for n in shape) or not tensor.fits(shape):
        expected = ", ".join(["N", *("C" if n < 0 else str(n) for n in tensor.shape[1:])])
        raise WireError(f"{what} has shape {reprlib.repr(list(shape))}; expected [{expected}]")
    return shape


def _from_bytes(
    data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[np.generic]:
    if dtype.kind == "b":
        # A bool array over bytes other than 0 and 1 would misbehave.
        return (np.frombuffer(data, np.uint8) != 0).reshape(shape)
    array = np.frombuffer(data, dtype).reshape(shape)
    # Compiled code wants aligned native numbers; both are so already in our own messages.
    return np.require(array.astype(dtype.newbyteorder("="), copy=False), requirements="A")


def _from_json(
    value: object, what: str, shape: tuple[int, ...], datatype: str
) -> NDArray[np.generic]:
    values = listed(value, f"data of {what}")
    if values and all(isinstance(row, list) for row in values):
        rows = cast(list[list[Any]], values)
        if len(shape) != 2 or (len(rows), *{len(row) for row in rows}) != shape:
            raise WireError(f"data of {what} is nested otherwise than its shape {list(shape)}")
        values = list(chain.from_iterable(rows))
    if len(values) != math.prod(shape):
        raise WireError(
            f"data of {what} has {len(values)} values; shape {list(shape)} has {math.prod(shape)}"
        )
    dtype = _DTYPES[datatype]
    allowed = _JSON_TYPES.get(dtype.kind, {int})
    for kind in set(map(type, values)) - allowed:
        culprit = next(v for v in values if type(v) is kind)
        raise WireError(f"data of {what} holds {reprlib.repr(culprit)}; expected {datatype}")
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype.newbyteorder("=")).reshape(shape)
    except OverflowError as error:
        raise WireError(f"data of {what} is beyond the range of {datatype}: {error}") from error
    # JSON has no infinity: one that appears here was a number too large.
    if dtype.kind == "f" and np.isinf(array).any():
        raise WireError(f"data of {what} is beyond the range of {datatype}; write null if missing")
    return array
