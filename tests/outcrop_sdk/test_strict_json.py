"""Lists of numbers are read as Python reads them, in pieces, and errors name the element."""

import json
import math
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop import WireError
from outcrop.strict_json import (
    BOOLEANS,
    FLOATS,
    FLOATS_OR_NULLS,
    INTEGERS,
    decode,
    decode_value,
    read_list,
)

LONG = 50_000  # elements: several pieces


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
@settings(deadline=None)
def test_numbers_are_those_that_python_reads(values: list[float | None]) -> None:
    found = read_list(FLOATS_OR_NULLS, json.dumps(values).encode(), np.float64, "data")
    expected = [math.nan if value is None else float(value) for value in values]
    assert found.tobytes() == np.array(expected, np.float64).tobytes()


@pytest.mark.parametrize("separator", [",", ", ", " ,\n\t"])
def test_a_long_list_is_read_in_pieces(separator: str) -> None:
    values = np.random.default_rng(1).normal(size=LONG)
    text = f"[ {separator.join(map(repr, values.tolist()))} ]".encode()
    np.testing.assert_array_equal(read_list(FLOATS, text, np.float64, "data"), values)


def test_reading_a_long_list_takes_no_more_than_the_array_and_a_piece() -> None:
    text = b"[" + b",".join([b"1.5"] * 500_000) + b"]"
    tracemalloc.start()
    found = read_list(FLOATS, text, np.float32, "data")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 500_000
    assert peak < found.nbytes + 4 * 2**20


def test_floats_beyond_the_dtype_are_infinite_and_other_numbers_are_refused() -> None:
    assert np.isposinf(read_list(FLOATS, b"[1e300]", np.float32, "data"))
    with pytest.raises(WireError, match="data is beyond the range of uint8"):
        read_list(INTEGERS, b"[1, 256]", np.uint8, "data")


def test_integers_of_any_size_are_true_or_false() -> None:
    assert read_list(INTEGERS, f"[{2**70}, 0, -1]".encode(), np.bool_, "mask").tolist() == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("decoder", "element", "reason"),
    [
        (FLOATS, "null", "is null: expected float, got null"),
        (FLOATS_OR_NULLS, '"1"', 'is "1": expected float or null, got str'),
        (FLOATS_OR_NULLS, "1e999", "is 1e999: number out of range"),
        (FLOATS_OR_NULLS, "[1]", r"is \[1\]: expected float or null, got array"),
        (INTEGERS, "1.0", "is 1.0: expected int, got float"),
        (BOOLEANS, "1", "is 1: expected bool, got int"),
    ],
)
@pytest.mark.parametrize("before", [0, LONG])
def test_the_element_at_fault_is_named(
    decoder: Any, element: str, reason: str, before: int
) -> None:
    good = "true" if decoder is BOOLEANS else "1"
    text = f"[{','.join([*[good] * before, element, good])}]".encode()
    with pytest.raises(WireError, match=rf"data\[{before}\] {reason}"):
        read_list(decoder, text, np.float64, "data")


@pytest.mark.parametrize("text", [b"[1", b"[1,]", b"[1 2]", b"[01]", b"[1.]", b"[+1]", b"[nan]"])
def test_lists_that_are_not_json_are_refused(text: bytes) -> None:
    with pytest.raises(WireError, match="data is not JSON"):
        read_list(FLOATS, text, np.float64, "data")


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_literals_that_are_not_json_are_refused_with_the_remedy(literal: str) -> None:
    with pytest.raises(WireError, match="write null for a missing value"):
        read_list(FLOATS, f"[{literal}]".encode(), np.float64, "data")


def test_what_is_no_list_is_refused_by_its_kind() -> None:
    for text, kind in ((b"{}", "object"), (b"1", "int"), (b'"' + b"," * LONG + b'"', "str")):
        with pytest.raises(WireError, match=f"data: expected array, got {kind}"):
            read_list(FLOATS, text, np.float64, "data")


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Message(msgspec.Struct, forbid_unknown_fields=True):
    inner: list[Inner]
    value: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


MESSAGE = msgspec.json.Decoder(Message)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"1", "the text: expected object, got int"),
        (b"{}", "the text: inner is missing"),
        (b'{"inner": [{"name": 1}]}', r"^inner\[0\].name: expected str, got int"),
        (b'{"inner": [{"nam": 1}]}', r"^inner\[0\]: unknown field 'nam'; leave it out"),
        (b'{"inner": [{"name": "\\ud800"}]}', "the text is not JSON"),
        (b'{"inner": [{"name": "\xff"}]}', "the text is not JSON"),
        (b'{"inner": [], "value": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"inner": [], "value": NaN}', "write null"),
    ],
)
def test_an_error_names_the_place(text: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(MESSAGE, text, "the text")


def test_a_value_is_quoted_in_part() -> None:
    value = msgspec.Raw(b'"' + b"x" * 1000 + b'"')
    with pytest.raises(WireError) as raised:
        decode_value(msgspec.json.Decoder(float), value, "z")
    assert str(raised.value) == f'z is "{"x" * 59}: expected float, got str'
