"""Arrays: the body of named arrays that a browser reads without parsing numbers.

It is the length of a JSON header (uint32, little endian), the header, and the arrays. The header
says the name, dtype, first byte and length of each; every first byte is a multiple of 8.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DTYPES: Final = {"int64": "i8", "int32": "i4", "float64": "f8", "float32": "f4", "uint8": "u1"}
_ALIGNMENT: Final = 8
_PREFIX: Final = 4


def to_json(value: Any) -> str:
    """Return JSON that is also safe within HTML; numbers that are not finite are null."""
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def pack(arrays: Mapping[str, NDArray[Any]], **header: Any) -> bytes:
    """Return the body of some one-dimensional arrays, with further fields of the header."""
    columns = [
        {"name": name, "dtype": DTYPES[array.dtype.name], "offset": 0, "length": len(array)}
        for name, array in arrays.items()
    ]
    # Offsets have digits, and so the header's length depends on them: room for the longest.
    room = _PREFIX + len(to_json({**header, "columns": columns})) + 12 * len(columns)
    at = _aligned(room)
    for column, array in zip(columns, arrays.values(), strict=True):
        column["offset"] = at
        at = _aligned(at + array.nbytes)

    text = to_json({**header, "columns": columns}).encode()
    first = _aligned(room)
    parts = [len(text).to_bytes(_PREFIX, "little"), text, bytes(first - _PREFIX - len(text))]
    for array in arrays.values():
        parts.append(np.ascontiguousarray(array).tobytes())
        parts.append(bytes(_aligned(array.nbytes) - array.nbytes))
    return b"".join(parts)


def _aligned(number: int) -> int:
    return -(-number // _ALIGNMENT) * _ALIGNMENT


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return value
