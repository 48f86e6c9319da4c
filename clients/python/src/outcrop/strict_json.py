"""Strict JSON: objects of declared fields, and lists of numbers that become arrays.

A few megabytes of JSON can unfold into gigabytes of Python objects. So a message is decoded into
types that name every field, and refused at the first byte that does not fit them. Lists of numbers
stay text (`msgspec.Raw`) until they are read into an array, a piece at a time: no more Python
numbers are in memory than one piece has. The grammar is that of RFC 8259, so NaN and Infinity are
refused, and so is a number beyond the range of float64.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import WireError

T = TypeVar("T")

FLOATS: Final = msgspec.json.Decoder(list[float])
FLOATS_OR_NULLS: Final = msgspec.json.Decoder(list[float | None])
INTEGERS: Final = msgspec.json.Decoder(list[int])
BOOLEANS: Final = msgspec.json.Decoder(list[bool])

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_PIECE: Final = 64 * 2**10  # bytes
_SHOWN: Final = 60  # characters of a value in a message
_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode(
    decoder: msgspec.json.Decoder[T], text: bytes | memoryview | msgspec.Raw, what: str
) -> T:
    """Return what a text holds.

    Parameters
    ----------
    decoder : Decoder
        Of the type that the text must have.
    text : bytes-like or Raw
    what : str
        Names the text in messages.

    Raises
    ------
    WireError
        Where the text is not JSON or has another type; names the place in it.
    """
    try:
        return decoder.decode(text)
    except _ERRORS as error:
        raise WireError(_message(what, text, error)) from error


def decode_value(decoder: msgspec.json.Decoder[T], text: msgspec.Raw, what: str) -> T:
    """Return one value, as `decode` does; the message of an error quotes the value."""
    try:
        return decoder.decode(text)
    except _ERRORS as error:
        raise WireError(f"{what} is {quote(text)}: {_explain(error)[1]}") from error


def quote(text: msgspec.Raw) -> str:
    """Return the first characters of a value, for a message."""
    return bytes(text)[: 4 * _SHOWN].decode("utf-8", "replace")[:_SHOWN]


def read_list(
    decoder: msgspec.json.Decoder[list[Any]], text: msgspec.Raw | bytes, dtype: DTypeLike, what: str
) -> NDArray[Any]:
    """Return a list of numbers as an array.

    Parameters
    ----------
    decoder : Decoder
        `FLOATS`, `FLOATS_OR_NULLS`, `INTEGERS` or `BOOLEANS`.
    text : Raw or bytes
        The list.
    dtype : dtype
        Of the array: null becomes NaN, floats beyond its range become infinite.
    what : str
        Names the list in messages.

    Returns
    -------
    (N,) array

    Raises
    ------
    WireError
        Where the text is no such list, or an integer is beyond the range of `dtype`.
    """
    content = bytes(text)
    if not content.startswith(b"["):
        # Refused without a look at the rest, which may be long.
        decode(decoder, content, what)

    found: list[NDArray[Any]] = []
    for piece in _pieces(content):
        try:
            with np.errstate(over="ignore"):
                found.append(np.array(decoder.decode(piece), dtype))
        except _ERRORS as error:
            raise WireError(_element(piece, sum(map(len, found)), what, error)) from error
        except OverflowError as error:
            raise WireError(f"{what} is beyond the range of {np.dtype(dtype)}: {error}") from error
    return found[0] if len(found) == 1 else np.concatenate(found)


def _pieces(content: bytes) -> Iterator[bytes]:
    """Yield a list as shorter lists, cut at commas."""
    start = 1
    while (end := content.find(b",", start + _PIECE)) >= 0:
        yield b"[" + content[start:end] + b"]"
        start = end + 1
    yield b"[" + content[start:]


def _element(piece: bytes, before: int, what: str, error: Exception) -> str:
    """Return the message for a piece, after so many elements, that cannot be read."""
    place, reason = _explain(error)
    found = re.fullmatch(r"\[(\d+)\]", place)
    try:
        index = int(found[1]) if found else 0
        value = quote(_ELEMENTS.decode(piece)[index])
    except (*_ERRORS, IndexError):
        return _message(what, piece, error)
    return f"{what}[{before + index}] is {value}: {reason}"


def _message(what: str, text: bytes | memoryview | msgspec.Raw, error: Exception) -> str:
    place, reason = _explain(error)
    if isinstance(error, msgspec.ValidationError):
        # The fields of a message are named without it.
        name = what + place if not place or place.startswith("[") else place
        return f"{name}: {reason}"
    found = re.search(r"\(byte (\d+)\)$", reason)
    if found and bytes(memoryview(text)[int(found[1]) :][:1]) in (b"N", b"I"):
        reason += "; NaN and Infinity are not JSON, write null for a missing value"
    return f"{what} is not JSON: {reason}"


def _explain(error: Exception) -> tuple[str, str]:
    """Return the place in the text, such as ``inputs[0].name``, and what is wrong with it."""
    if isinstance(error, RecursionError):
        return "", "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "", f"a string is not UTF-8 ({error.reason})"

    message, _, place = str(error).rpartition(" - at `$")
    if not message:
        message, place = place, ""
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        message = f"unknown field {unknown[1][:_SHOWN]!r}; leave it out"
    elif missing := re.fullmatch(r"Object missing required field `(.*)`", message):
        message = f"{missing[1]} is missing"
    else:
        message = (
            message.removeprefix("JSON is malformed: ").replace("`", "").replace(" | ", " or ")
        )
        message = message[:1].lower() + message[1:]
    return place.removesuffix("`").lstrip("."), message
