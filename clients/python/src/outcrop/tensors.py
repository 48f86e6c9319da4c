"""Tensors of the Open Inference Protocol v2: a JSON header, then bytes.

A message is a JSON header, followed, where tensors are binary, by their bytes in the header's
order: little-endian, row-major, each as long as its ``binary_data_size``. The HTTP header
``Inference-Header-Content-Length`` is the length of the JSON; without it the whole body is JSON
and tensors are lists under ``data``. Nothing here depends on the meaning of the tensors.
"""

import io
import json
import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import WireError
from .strict_json import BOOLEANS, FLOATS_OR_NULLS, INTEGERS, decode_value, quote, read_list

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
_SHAPE_BYTES: Final = 100
_LISTS: Final[Mapping[str, msgspec.json.Decoder[list[Any]]]] = {
    "b": BOOLEANS,
    "f": FLOATS_OR_NULLS,
    "i": INTEGERS,
    "u": INTEGERS,
}
_ROW: Final = re.compile(rb"\[([^][]*)\]")
_ROWS: Final = re.compile(rb"\[\s*\[[^][]*\](?:\s*,\s*\[[^][]*\])*\s*\]")


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


class TensorParameters(msgspec.Struct):
    """The parameters of a tensor in a message; the protocol lets others be there too."""

    binary_data_size: int | None = None


class TensorText(msgspec.Struct, forbid_unknown_fields=True):
    """One tensor of a message as its JSON header holds it."""

    name: str
    shape: msgspec.Raw
    datatype: str
    parameters: TensorParameters | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


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
    data : bytes
        Those values as JSON, not read yet; empty where the tensor is binary.
    """

    label: str
    shape: tuple[int, ...]
    datatype: str
    size: int | None
    data: bytes


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


def check_name(name: str, kind: str, table: Mapping[str, Tensor]) -> None:
    """Check the name of a tensor, which must be in the table."""
    if name not in table:
        raise WireError(f"{kind} has name {reprlib.repr(name)}; known are {', '.join(table)}")


def check_tensors(
    tensors: Sequence[TensorText], kind: str, table: Mapping[str, Tensor]
) -> dict[str, TensorEntry]:
    """Return what a JSON header states of each tensor, by name.

    Parameters
    ----------
    tensors : sequence of TensorText
    kind : str
        For messages: input or output.
    table : mapping of str to Tensor
        The tensors that are allowed.

    Raises
    ------
    WireError
        Where a tensor is not in the table or given twice, or where its datatype, shape and size
        do not fit.
    """
    entries: dict[str, TensorEntry] = {}
    for tensor in tensors:
        check_name(tensor.name, f"an {kind}", table)
        if tensor.name in entries:
            raise WireError(f"{kind} {tensor.name} is given twice; give it once")
        entries[tensor.name] = _check(tensor, f"{kind} {tensor.name}", table[tensor.name])
    return entries


def _check(text: TensorText, label: str, tensor: Tensor) -> TensorEntry:
    # A list of millions is no shape.
    is_short = len(memoryview(text.shape)) <= _SHAPE_BYTES
    sizes = decode_value(INTEGERS, text.shape, f"shape of {label}") if is_short else []
    shape = tuple(sizes)
    if not all(0 <= n <= _MAX_INT64 for n in shape) or not tensor.fits(shape):
        expected = ", ".join(["N", *("C" if n < 0 else str(n) for n in tensor.shape[1:])])
        raise WireError(f"{label} has shape {quote(text.shape)}; expected [{expected}]")
    if text.datatype not in tensor.datatypes:
        raise WireError(
            f"{label} has datatype {reprlib.repr(text.datatype)}; "
            f"expected {' or '.join(tensor.datatypes)}"
        )

    data = b"" if isinstance(text.data, msgspec.UnsetType) else bytes(text.data)
    data = data.removeprefix(b"null")
    size = text.parameters and text.parameters.binary_data_size
    if size is None:
        return TensorEntry(label, shape, text.datatype, None, data)

    if data:
        raise WireError(f"{label} has both data and binary_data_size; give one of them")
    expected = math.prod(shape) * _DTYPES[text.datatype].itemsize
    if size != expected:
        raise WireError(
            f"{label} has binary_data_size {reprlib.repr(size)}; "
            f"{text.datatype} of shape {shape} has {expected} bytes"
        )
    return TensorEntry(label, shape, text.datatype, size, b"")


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
    what, shape, datatype = f"data of {entry.label}", entry.shape, entry.datatype
    if not entry.data:
        raise WireError(f"{what} is missing; give it, or binary_data_size where bytes follow")

    dtype = _DTYPES[datatype].newbyteorder("=")
    values = read_list(_LISTS[dtype.kind], _flat(entry.data, what, shape), dtype, what)
    if len(values) != math.prod(shape):
        raise WireError(
            f"{what} has {len(values)} values; shape {list(shape)} has {math.prod(shape)}"
        )
    # JSON has no infinity: one that appears here was a number too large.
    if dtype.kind == "f" and np.isinf(values).any():
        raise WireError(f"{what} is beyond the range of {datatype}; write null if missing")
    return values.reshape(shape)


def _flat(data: bytes, what: str, shape: tuple[int, ...]) -> bytes:
    """Return the values of a tensor, given flat or as one list per row, as one flat list."""
    lists = data.count(b"[") - 1
    if lists <= 0:
        return data
    # Counted first, so that the text is searched only where it can fit.
    if len(shape) == 2 and lists == shape[0] and _ROWS.fullmatch(data):
        rows = _ROW.findall(data, 1)
        if all(row.count(b",") == shape[1] - 1 for row in rows):
            return b"[" + b",".join(rows) + b"]"
    raise WireError(f"{what} is nested; expected lists of shape {list(shape)}")
