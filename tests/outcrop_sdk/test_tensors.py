"""Tensors arrive as they were sent, and messages that do not add up are refused."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from outcrop import WireError
from outcrop.strict_json import decode as decode_json
from outcrop.tensors import (
    HEADER_LENGTH,
    Tensor,
    TensorText,
    check_tensors,
    encode,
    read_tensors,
    split_body,
)

TABLE = {
    tensor.name: tensor
    for tensor in (
        Tensor("z", ("FP64",)),
        Tensor("flux", ("FP32",), 3),
        Tensor("latent", ("FP32",), -1),
        Tensor("mask", ("UINT8", "INT32", "UINT32"), 3),
        Tensor("status", ("INT32",)),
        Tensor("flag", ("BOOL",)),
    )
}
ARRAYS: dict[str, Any] = {
    "z": np.array([0.1, np.nan]),
    "flux": np.array([[1, 2, np.inf], [4, 5, 6]], np.float32),
    "latent": np.zeros((2, 5), np.float32),
    "status": np.array([7, -1], np.int32),
    "flag": np.array([True, False]),
}


class Message(msgspec.Struct):
    inputs: list[TensorText]


MESSAGE = msgspec.json.Decoder(Message)


def decode(body: bytes, header_length: int | None = None) -> dict[str, Any]:
    content, rest = split_body(body, header_length)
    header = decode_json(MESSAGE, content, "the header")
    return read_tensors(check_tensors(header.inputs, "input", TABLE), rest)


def as_json(*inputs: object) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


def tensor(name: str, shape: list[Any], datatype: str, data: object = None, **more: Any) -> Any:
    values = {} if data is None else {"data": data}
    return {"name": name, "shape": shape, "datatype": datatype, **values, **more}


@pytest.mark.parametrize("binary", [frozenset[str](), frozenset({"flux"}), frozenset(ARRAYS)])
def test_arrays_arrive_as_they_were_sent(binary: frozenset[str]) -> None:
    headers, body = encode({}, "inputs", ARRAYS, TABLE, binary)
    length = int(headers[HEADER_LENGTH]) if binary else None
    found = decode(body, length)
    for name, sent in ARRAYS.items():
        # JSON has no infinity: null, read as NaN.
        expected = sent if name in binary else np.where(np.isinf(sent), np.nan, sent)
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == sent.dtype


def test_aligned_bytes_are_not_copied_and_others_are_aligned() -> None:
    headers, body = encode({}, "inputs", ARRAYS, TABLE, frozenset(ARRAYS))
    length = int(headers[HEADER_LENGTH])
    assert np.shares_memory(decode(body, length)["z"], np.frombuffer(body, np.uint8))
    moved = decode(b" " + body, length + 1)["z"]
    assert moved.flags.aligned
    np.testing.assert_array_equal(moved, ARRAYS["z"])


def test_nested_lists_are_read_as_flat_ones() -> None:
    rows = [[1, None, 3], [4, 5, 6.5]]
    flat = [1, None, 3, 4, 5, 6.5]
    for data in (rows, flat):
        found = decode(as_json(tensor("flux", [2, 3], "FP32", data)))["flux"]
        np.testing.assert_array_equal(found, [[1, np.nan, 3], [4, 5, 6.5]])


@pytest.mark.parametrize("datatype", ["UINT8", "INT32", "UINT32"])
def test_each_datatype_of_a_tensor_is_read(datatype: str) -> None:
    found = decode(as_json(tensor("mask", [1, 3], datatype, [0, 200, 3])))["mask"]
    assert found.tolist() == [[0, 200, 3]]


BAD: list[tuple[Any, str]] = [
    (5, r"inputs\[0\]: expected object, got int"),
    (tensor("flx", [1], "FP32", [1]), "name 'flx'; known are z"),
    (tensor("z", [1], "FP64", [0.1], shap=1), "unknown field 'shap'"),
    (tensor("z", [1], "FP32", [0.1]), "datatype 'FP32'; expected FP64"),
    (tensor("z", [1, 1], "FP64", [0.1]), r"shape \[1, 1\]; expected \[N\]"),
    (tensor("z", [-1], "FP64", [0.1]), r"shape \[-1\]; expected \[N\]"),
    (tensor("z", [True], "FP64", [0.1]), r"shape of input z is \[true\]: expected int, got bool"),
    (tensor("z", [10**40], "FP64", [0.1]), "shape"),
    (tensor("flux", [1, 9], "FP32", [0] * 9), r"expected \[N, 3\]"),
    (tensor("latent", [1], "FP32", [0]), r"expected \[N, C\]"),
    (tensor("z", [1], "FP64", [0.1, 0.2]), r"has 2 values; shape \[1\] has 1"),
    (tensor("z", [1], "FP64", [[0.1]]), r"data of input z is nested; expected lists of shape \[1"),
    (tensor("flux", [2, 3], "FP32", [[1, 2, 3]]), r"is nested; expected lists of shape \[2, 3\]"),
    (tensor("flux", [2, 3], "FP32", [[1, 2], [3, 4, 5, 6]]), "is nested"),
    (tensor("flux", [2, 3], "FP32", [[1, 2, 3], [4, 5, 6], 7]), "is nested"),
    (tensor("flux", [2, 3], "FP32", [[1, 2, "]["], [4, 5, 6]]), "is nested"),
    (tensor("flux", [1, 3], "FP32", [[1, 2, "3"]]), r"data of input flux\[2\] is \"3\""),
    (tensor("z", [1], "FP64", ["0.1"]), r'data of input z\[0\] is "0.1": expected float'),
    (tensor("z", [1], "FP64", [True]), r"data of input z\[0\] is true: expected float"),
    (tensor("z", [1], "FP64", [10**400]), r"data of input z\[0\] is 10+: number out of range"),
    (tensor("flux", [1, 3], "FP32", [1e39] * 3), "beyond the range of FP32"),
    (tensor("status", [1], "INT32", [2**31]), "beyond the range of int32"),
    (tensor("status", [1], "INT32", [1.0]), r"data of input status\[0\] is 1.0: expected int"),
    (tensor("status", [1], "INT32", [None]), r"data of input status\[0\] is null"),
    (tensor("status", [1], "INT32"), "data of input status is missing"),
    (tensor("z", [1], "FP64", [0.1], parameters={"binary_data_size": 8}), "both data and binary"),
]


@pytest.mark.parametrize(("entry", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_tensor_is_refused_by_name(entry: Any, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(as_json(entry))


def test_a_tensor_given_twice_is_refused() -> None:
    z = tensor("z", [1], "FP64", [0.1])
    with pytest.raises(WireError, match="input z is given twice"):
        decode(as_json(z, z))


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (7, "binary_data_size 7; FP64 of shape .* has 8 bytes"),
        (-8, "binary_data_size -8"),
        (8.0, "binary_data_size: expected int"),
        (True, "binary_data_size: expected int"),
        (2**80, "binary_data_size"),
    ],
)
def test_a_size_that_is_not_that_of_the_shape_is_refused(size: Any, reason: str) -> None:
    header = as_json(tensor("z", [1], "FP64", parameters={"binary_data_size": size}))
    with pytest.raises(WireError, match=reason):
        decode(header + bytes(8), len(header))


def test_a_huge_shape_is_refused_without_being_allocated() -> None:
    header = as_json(tensor("z", [2**62], "FP64", parameters={"binary_data_size": 2**65}))
    with pytest.raises(WireError, match="only 8 bytes of the body are left"):
        decode(header + bytes(8), len(header))


def test_missing_and_surplus_bytes_are_refused() -> None:
    headers, body = encode({}, "inputs", ARRAYS, TABLE, frozenset(ARRAYS))
    length = int(headers[HEADER_LENGTH])
    with pytest.raises(WireError, match="was the body truncated"):
        decode(body[:-1], length)
    with pytest.raises(WireError, match="1 bytes follow the last tensor"):
        decode(body + b" ", length)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_literals_that_are_not_json_are_refused_with_the_remedy(literal: str) -> None:
    body = as_json(tensor("z", [1], "FP64", [0.1])).replace(b"[0.1]", f"[{literal}]".encode())
    with pytest.raises(WireError, match="write null"):
        decode(body)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"{}x", b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b'{"inputs":' * 5000]
)
def test_bytes_that_are_not_json_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        decode(body)


@pytest.mark.parametrize("length", [-1, 10**9])
def test_a_header_longer_than_the_body_is_refused(length: int) -> None:
    with pytest.raises(WireError, match=HEADER_LENGTH):
        decode(as_json(), length)
