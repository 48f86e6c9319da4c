"""Explanations survive JSON as they are, and nothing else is read as one."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop import (
    CAUSES,
    Evidence,
    Explanation,
    Explanations,
    ModelIdentity,
    Neighbour,
    Segment,
    Tag,
    WireError,
)
from outcrop.explanation_json import decode_explanations, encode_explanations
from tests.outcrop_sdk.sample import some_explanations, some_model, some_spectra

FLOATS = st.floats(allow_infinity=False)
# -0.0, too, has to come back.
FINITE = st.floats(allow_infinity=False, allow_nan=False)
TEXTS = st.text(max_size=20).filter(str.isprintable)
INTERVALS = st.tuples(FINITE, FINITE)
INT64 = st.integers(-(2**63), 2**63 - 1)


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=3).map(tuple)


TAGS = st.builds(Tag, TEXTS, FLOATS)
SEGMENTS = st.builds(
    Segment, INTERVALS, INTERVALS, FLOATS, st.sampled_from((-1, 1)), FLOATS, tuples(TAGS)
)
EVIDENCE = st.builds(
    Evidence,
    st.sampled_from(CAUSES),
    FLOATS,
    st.integers(0, 100),
    FLOATS,
    FLOATS,
    FLOATS,
    tuples(INTERVALS),
    TEXTS,
)
NEIGHBOURS = st.builds(Neighbour, INT64, FLOATS, TEXTS, TEXTS, FLOATS, FLOATS)
ROWS = st.builds(
    Explanation,
    INT64,
    st.integers(-(2**31), 2**31 - 1),
    FLOATS,
    st.sampled_from(("", *CAUSES)),
    FLOATS,
    FLOATS,
    FLOATS,
    FLOATS,
    TEXTS,
    st.tuples(FLOATS, FLOATS),
    tuples(EVIDENCE),
    tuples(SEGMENTS),
    tuples(NEIGHBOURS),
)
NAMES = TEXTS.filter(bool)
MODELS = st.builds(ModelIdentity, NAMES, NAMES, NAMES)


@given(st.builds(Explanations, MODELS, tuples(ROWS)))
def test_what_is_written_is_read_as_it_was(explanations: Explanations) -> None:
    # NaN is not equal to itself, but its name is.
    assert repr(decode_explanations(encode_explanations(explanations, "simulated"))) == repr(
        explanations
    )


def test_nan_and_infinities_are_null_and_large_integers_texts() -> None:
    row = replace(some_row(), targetid=2**63 - 1, p_best=math.inf, z_best=math.nan, status=5)
    answer = json.loads(encode_explanations(Explanations(some_model().identity, (row,)), "desi"))
    (found,) = answer["explanations"]
    assert (found["targetid"], found["p_best"], found["z_best"]) == (str(2**63 - 1), None, None)
    assert found["status_names"] == ["NO_DATA", "Z_OUT_OF_RANGE"]
    assert answer["model"] == {
        "name": "outcrop",
        "version": some_model().version,
        "sha256": some_model().sha256,
        "sample": "desi",
    }


def test_numbers_of_numpy_are_written() -> None:
    row: Any = replace(some_row(), p_value=np.float64(0.5), p_best=np.float32(np.nan))
    content = encode_explanations(Explanations(some_model().identity, (row,)), "desi")
    (found,) = decode_explanations(content)
    assert (found.p_value, repr(found.p_best)) == (0.5, "nan")


def some_row() -> Explanation:
    return some_explanations(some_spectra(1))[0]


def content() -> dict[str, Any]:
    explanations = some_explanations(some_spectra(2))
    return json.loads(encode_explanations(explanations, "simulated"))


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "a field more": lambda row: row.update(more=1),
    "a field less": lambda row: row.pop("sentence"),
    "targetid as a number": lambda row: row.update(targetid=1),
    "no targetid": lambda row: row.update(targetid="one"),
    "too large a targetid": lambda row: row.update(targetid=str(2**63)),
    "a line after targetid": lambda row: row.update(targetid="1\n"),
    "status as a text": lambda row: row.update(status="1"),
    "too large a status": lambda row: row.update(status=2**31),
    "a number as a text": lambda row: row.update(p_value="0.1"),
    "a truth as a number": lambda row: row.update(p_value=True),
    "an unknown cause": lambda row: row.update(cause="bad_luck"),
    "a line after a cause": lambda row: row.update(cause="rare\n"),
    "no cause": lambda row: row.update(cause=None),
    "a sentence that a terminal obeys": lambda row: row.update(sentence="\x1b[2J"),
    "a place of one number": lambda row: row.update(place=[1.0]),
    "evidence without a cause": lambda row: row["evidence"][0].update(cause=""),
    "negative parameters": lambda row: row["evidence"][0].update(parameters=-1),
    "an interval of nulls": lambda row: row["evidence"][0].update(wavelengths=[[None, None]]),
    "a segment without a sign": lambda row: row["segments"][0].update(sign=0),
    "tags that are no list": lambda row: row["segments"][0].update(tags={}),
    "a name that a terminal obeys": lambda row: row["segments"][0]["tags"][0].update(name="a\rb"),
    "a neighbour without an id": lambda row: row["neighbours"][0].update(targetid=None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_no_explanation_is_refused(name: str) -> None:
    answer = content()
    CHANGES[name](answer["explanations"][1])
    with pytest.raises(WireError) as caught:
        decode_explanations(json.dumps(answer).encode())
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>Welcome to nginx</html>",
        b"\xff",
        b"[" * 100_000,
        b'{"explanations":[]}',
        b'{"model":{"name":"","version":"1","sha256":"1","sample":"1"},"explanations":[]}',
        b'{"model":{"name":"a\\u0007","version":"1","sha256":"1","sample":"1"},"explanations":[]}',
        json.dumps(content()).replace("0.25", "1e999").encode(),
        json.dumps(content()).replace("0.25", "NaN").encode(),
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        decode_explanations(text)
