"""Lists are cut out of a JSON text, and nothing that was not valid becomes so."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http.errors import Problem
from service.interfaces.number_lists import cut

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
