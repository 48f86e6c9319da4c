"""Lists are cut out of a JSON text, and nothing that was not valid becomes so."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from outcrop.errors import WireError
from outcrop.strict_json import FLOATS_OR_NULLS, read_list
from service.http.errors import Problem
from service.interfaces.number_lists import cut, read_floats

NUMBERS = st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1)
OBJECTS = st.recursive(
    NUMBERS,
    lambda inner: st.dictionaries(st.text("abc", max_size=2), inner | st.lists(inner, min_size=1)),
)


@given(OBJECTS)
def test_the_lists_are_put_back_where_they_were(value: Any) -> None:
    text = json.dumps(value).encode()
    left, lists = cut(text, 10_000)
    assert all(isinstance(json.loads(each), list) for each in lists)
    again = re.sub(rb"\[(\d+)\]", lambda place: lists[int(place[1])], left)
    assert again == text


def test_lists_of_objects_and_empty_lists_stay() -> None:
    text = b'{"a": [{"b": [1, 2], "c": []}, {"b": [ 3 ]}]}'
    assert cut(text, 10) == (
        b'{"a": [{"b": [0], "c": []}, {"b": [1]}]}',
        [b"[1, 2]", b"[ 3 ]"],
    )


@given(st.text('[]{}":,1 ', max_size=40))
def test_what_is_left_and_the_lists_are_json_only_where_the_text_is(text: str) -> None:
    left, lists = cut(text.encode(), 100)
    try:
        json.loads(left)
        read = [json.loads(each) for each in lists]
    except ValueError:
        return
    if all(type(number) is int for each in read for number in each):
        json.loads(text)


@pytest.mark.parametrize("text", [b"[]," * 1000, b"[1]," * 1000, b"]" * 1000])
def test_a_text_of_endless_lists_is_rejected(text: bytes) -> None:
    with pytest.raises(Problem, match="more than 10 lists") as raised:
        cut(text, 10)
    assert raised.value.status == 413


_NUMBERS = """0 -0.0 1 -1.5 1e5 1E-320 3.4028236e38 1e39 1e308 9007199254740993 1e400 -
    18446744073709551615 18446744073709551616 null true NaN 01 .5 1. [1] [] {} "1" "[" 1,, +1 0x1"""
ELEMENTS = st.sampled_from([*_NUMBERS.split(), "\x00"]) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)


@given(st.lists(ELEMENTS, max_size=6), st.sampled_from(["[%s]", "%s", "[%s", "[%s]]", " [ %s ] "]))
@example(["0.1"] * 60_000, "[%s]")
@settings(max_examples=1000, deadline=None)
def test_floats_are_read_as_the_strict_decoder_reads_them(texts: list[str], form: str) -> None:
    text = (form % ",".join(texts)).encode()

    def outcome(read: Callable[[], NDArray[np.float32]]) -> bytes | str:
        try:
            return read().tobytes()
        except WireError as error:
            return str(error)

    expected = outcome(lambda: read_list(FLOATS_OR_NULLS, text, np.float32, "flux"))
    for count in {0, 1, len(texts)}:
        assert outcome(lambda: read_floats(text, count, "flux")) == expected  # noqa: B023
