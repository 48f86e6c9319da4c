"""Number lists: the lists in a JSON text, cut out of it before it is decoded.

Nearly all of a request is lists of numbers. What is left without them is short, and the decoder
need not go through the numbers to find the fields.
"""

import numpy as np
from numpy.typing import NDArray

from outcrop.strict_json import FLOATS_OR_NULLS, read_list

from ..http.errors import Problem
from .decimals import read_decimals


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


def read_floats(text: bytes, count: int, what: str) -> NDArray[np.float32]:
    """Return a list of floats and nulls as an array; null becomes NaN.

    Parameters
    ----------
    text : bytes
        The list.
    count : int
        Numbers that it should have; a list of another length is read too, but slowly.
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
    values = np.empty(count, np.float32)
    if read_decimals(np.frombuffer(text, np.uint8), values):
        return values
    return read_list(FLOATS_OR_NULLS, text, np.float32, what)
