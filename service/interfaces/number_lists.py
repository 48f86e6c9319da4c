"""Number lists: the lists in a JSON text, cut out of it before it is decoded.

Nearly all of a request is lists of numbers. What is left without them is short, and the decoder
need not go through the numbers to find the fields.
"""

import threading
from typing import Any, Final

import numpy as np
import simdjson
from numpy.typing import NDArray

from outcrop.strict_json import FLOATS_OR_NULLS, read_list

from ..http.errors import Problem

_LONGEST: Final = 2**18  # bytes; a list of all pixels is shorter, and the parser needs memory
_thread = threading.local()


def cut(text: bytes, at_most: int) -> tuple[bytes, list[bytes]]:
    """Cut the innermost lists out of a JSON text, but for empty lists and lists of objects.

    A bracket inside a string is taken for one of a list. So what is left of a text is that text
    without its lists only where no string in it has a bracket; otherwise no list that was cut out
    holds numbers alone, or the string is still a string with a bracket.

    Parameters
    ----------
    text : bytes
    at_most : int
        Lists in the text.

    Returns
    -------
    bytes
        The text, with ``[i]`` in place of the i-th list.
    list of bytes
        The lists, with their brackets.

    Raises
    ------
    Problem
        413 where there are more lists.
    """
    left: list[bytes] = []
    lists: list[bytes] = []
    done = 0
    while (end := text.find(b"]", done)) >= 0:
        start = text.rfind(b"[", done, end)
        if start < 0 or end == start + 1 or text.find(b"{", start, end) >= 0:
            left.append(text[done : end + 1])
        else:
            left.append(b"%b[%d]" % (text[done:start], len(lists)))
            lists.append(text[start : end + 1])
        done = end + 1

        if len(left) > at_most:
            raise Problem(
                413,
                f"the request holds more than {at_most} lists; send fewer spectra at a time",
                reason="too_large",
            )
    left.append(text[done:])
    return b"".join(left), lists


def read_floats(text: bytes, what: str) -> NDArray[np.float32]:
    """Return a list of floats and nulls as an array; null becomes NaN.

    simdjson reads a list of numbers, of the usual length, without a Python object for each. All
    else is left to `read_list`: null, long lists, and the messages of errors.

    Parameters
    ----------
    text : bytes
        The list.
    what : str
        Names the list in messages.

    Returns
    -------
    (N,) float32
        Numbers beyond the range of float32 are infinite.

    Raises
    ------
    WireError
        Where the text is no such list.
    """
    # simdjson would flatten a list of lists.
    if len(text) <= _LONGEST and text.rfind(b"[") == 0:
        # A parser keeps its buffers from list to list, and serves one at a time.
        parser: Any = _parser()
        try:
            values = np.frombuffer(parser.parse(text).as_buffer(of_type="d"), np.float64)
        except (ValueError, TypeError, RuntimeError):
            pass
        else:
            with np.errstate(over="ignore"):
                return values.astype(np.float32)
    return read_list(FLOATS_OR_NULLS, text, np.float32, what)


def _parser() -> simdjson.Parser:
    if not hasattr(_thread, "parser"):
        _thread.parser = simdjson.Parser()
    return _thread.parser
