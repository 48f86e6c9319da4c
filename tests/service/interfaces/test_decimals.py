"""Lists are read to the bit as the strict decoder reads them, or not at all."""

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from outcrop.errors import WireError
from outcrop.strict_json import FLOATS_OR_NULLS, read_list
from service.interfaces.decimals import read_decimals


def near_middle(value: float, steps: int) -> float:
    low = np.float32(value)
    middle = (float(low) + float(np.nextafter(low, np.float32(np.inf)))) / 2
    for _ in range(abs(steps)):
        middle = float(np.nextafter(middle, np.inf if steps > 0 else -np.inf))
    return middle


FINITE = st.floats(allow_nan=False, allow_infinity=False)
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
# A middle between two numbers of float32 and its neighbours in float64, where rounding is hardest.
MIDDLES = st.builds(near_middle, FLOAT32.filter(lambda x: abs(x) < 1e38), st.integers(-4, 4))
LONG = st.builds(
    lambda digits, power: f"{digits[:1]}.{digits[1:]}e{power}",
    st.from_regex(r"[1-9][0-9]{1,40}", fullmatch=True),
    st.integers(-70, 70),
)
TEXTS = (
    st.just("null")
    | FINITE.map(repr)
    | FLOAT32.map(repr)
    | FLOAT32.map(lambda value: str(np.float32(value)))
    | MIDDLES.map(repr)
    | MIDDLES.map(lambda value: f"{Decimal(value):f}")
    | LONG
    | st.integers().map(str)
    | st.from_regex(r"-?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{0,3})?", fullmatch=True)
)
SPACES = st.text(" \t\n\r", max_size=2)


def read(text: bytes, count: int) -> NDArray[np.float32] | None:
    values = np.full(count, 7, np.float32)
    return values if read_decimals(np.frombuffer(text, np.uint8), values) else None


def expected(text: bytes) -> NDArray[np.float32] | None:
    try:
        return read_list(FLOATS_OR_NULLS, text, np.float32, "flux")
    except WireError:
        return None


@given(st.lists(st.tuples(SPACES, TEXTS, SPACES), min_size=1, max_size=4))
@example([("", "-0", ""), ("", "-0.0", ""), ("", "0e0", ""), ("", "0.0E-5", "")])
@example([("", "16777217", ""), ("", "16777217.000000000000000000000001", "")])
@settings(max_examples=500, deadline=None)
def test_numbers_are_those_of_the_strict_decoder(texts: list[tuple[str, str, str]]) -> None:
    text = f"[{','.join(map(''.join, texts))}]".encode()
    found = read(text, len(texts))
    if found is not None:
        strict = expected(text)
        assert strict is not None
        assert found.tobytes() == strict.tobytes()


@given(st.text('0123456789.eE+-,[]nul \n"', max_size=20), st.integers(0, 4))
@settings(max_examples=500, deadline=None)
def test_what_the_strict_decoder_refuses_is_not_understood(inside: str, count: int) -> None:
    text = f"[{inside}]".encode()
    found, strict = read(text, count), expected(text)
    if found is not None:
        assert strict is not None
        assert found.tobytes() == strict.tobytes()


@given(st.lists(FLOAT32, min_size=1))
@settings(deadline=None)
def test_the_digits_of_a_float32_are_always_understood(values: list[float]) -> None:
    # The shortest digits of a larger one may be half way between two: 53906250 for 53906248.
    usual = [value for value in values if 1e-30 < abs(value) < 2**24]
    for text in (json.dumps(usual), f"[{','.join(str(np.float32(value)) for value in usual)}]"):
        if usual:
            found = read(text.encode(), len(usual))
            assert found is not None
            assert found.tobytes() == np.array(usual, np.float32).tobytes()


def test_null_is_nan() -> None:
    found = read(b"[null, 1 ,null]", 3)
    assert found is not None
    np.testing.assert_array_equal(found, np.array([np.nan, 1, np.nan], np.float32))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_list_of_another_length_is_not_understood(count: int) -> None:
    assert read(b"[1, 2]", count) is None
    assert read(b"[1, 2]", 2) is not None


OTHERS = """[] 1] [1 [-] [+1] [1.] [.5] [01] [-01] [00] [1e] [1e+] [1.e5] [e5] [0x1] [1,] [,1] [1]]
    [[1]] [1]] [n [nu] [nul] [nulll] [true] ["1"] [NaN] [Infinity] [1e400] [--1] [1-] [1.5.5]"""


@pytest.mark.parametrize("text", [*OTHERS.split(), "[ ]", "[1 1]", "[1\x0b]", "[\xa01]", ""])
def test_other_texts_are_not_understood(text: str) -> None:
    content = text.encode()
    for count in range(3):
        assert read(content, count) is None


@given(st.binary(max_size=12), st.binary(max_size=12))
@settings(deadline=None)
def test_nothing_beyond_the_end_is_read(inside: bytes, beyond: bytes) -> None:
    text = b"[%b]" % inside
    whole = np.frombuffer(text + b"1234567" + beyond, np.uint8)
    one, other = np.zeros(2, np.float32), np.zeros(2, np.float32)
    alone = read_decimals(np.frombuffer(text, np.uint8), one)
    assert read_decimals(whole[: len(text)], other) == alone
    assert not alone or one.tobytes() == other.tobytes()
