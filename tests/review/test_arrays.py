"""The bodies: arrays at multiples of 8 bytes, and JSON that is safe within HTML."""

import json
import math

import numpy as np
import pytest

from review.arrays import pack, to_json
from tests.review.conftest import decoded


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_arrays_are_read_back(count: int) -> None:
    arrays = {
        "i8": np.full(count, 2**63 - 1),
        "u1": np.arange(count).astype(np.uint8),
        "f4": np.linspace(0, 1, count, dtype=np.float32),
        "f8": np.full(count, math.nan),
        "i4": np.arange(count, dtype=np.int32),
    }
    header, found = decoded(pack(arrays, rows=count))
    assert header["rows"] == count
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert all(one["offset"] % 8 == 0 for one in header["columns"])


def test_json_is_safe_and_valid() -> None:
    value = {"comment": "</script><script>&\u2028", "z": math.nan, "p": [math.inf, 1.5]}
    text = to_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"comment": value["comment"], "z": None, "p": [None, 1.5]}
