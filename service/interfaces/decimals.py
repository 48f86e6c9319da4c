"""Decimals: a JSON list of numbers, read as float32 in machine code.

A float32 needs few of the digits that a number may have. The first 18 of them, times a power of
ten, are the number to within a few units of the last place of float64. Where all that is so near
rounds to one float32, that is the number's. Otherwise, and for all that is not understood, the
list is left to a slower reader.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LARGEST_POWER: Final = 64
_POWERS: Final = np.array([float(f"1e{k}") for k in range(-_LARGEST_POWER, _LARGEST_POWER + 1)])
# At most 2^-53 each: the rounding of the mantissa, of the power, of their product, of a bound, and
# of the float64 that the slower reader makes. Digits beyond the 18th are worth 2^-56.
_BELOW: Final = 1 - 2.0**-50
_ABOVE: Final = 1 + 2.0**-50
_FULL: Final = 10**17  # from here on a mantissa has no room for one more digit
_EIGHT_FIT: Final = 10**10
_NOTHING: Final = np.int64(0)
_NO_DIGITS: Final = np.int64(-1)

_OPEN, _CLOSE, _COMMA, _POINT, _MINUS, _PLUS, _ZERO = b"[],.-+0"
_E, _LARGE_E, _L, _N, _U = b"eElnu"
_SPACE, _TAB, _NEWLINE, _RETURN = b" \t\n\r"

# Places are unsigned: numba checks signed ones for being negative.
_ONE, _TWO, _THREE, _FOUR, _EIGHT = (np.uint64(k) for k in (1, 2, 3, 4, 8))


@njit(cache=True, nogil=True)
def read_decimals(text: NDArray[np.uint8], values: NDArray[np.float32]) -> bool:
    """Read a list of exactly as many numbers or nulls as values has room for; null becomes NaN.

    Return False, with any values, where the text is not understood. A list that the slower reader
    would refuse never is, and what is read is what that reader returns, to the bit.
    """
    # Nothing below goes beyond a bracket, so nothing goes beyond the end.
    if len(text) < 2 or text[0] != _OPEN or text[len(text) - 1] != _CLOSE:
        return False
    end = np.uint64(len(text) - 1)

    at = np.uint64(0)
    for i in range(len(values)):
        # After the bracket, or a comma.
        at = _after_spaces(text, at + _ONE)
        if text[at] == _N:
            # Each is looked at only where the one before it is no bracket.
            if text[at + _ONE] != _U or text[at + _TWO] != _L or text[at + _THREE] != _L:
                return False
            at += _FOUR
            values[i] = np.nan

        else:
            negative = text[at] == _MINUS
            start = at + _ONE if negative else at
            at, mantissa, power = _digits(text, start, end, _NOTHING)
            if at == start or (text[start] == _ZERO and at > start + _ONE):
                return False

            if text[at] == _POINT:
                start = at + _ONE
                at, mantissa, left_out = _digits(text, start, end, mantissa)
                power += left_out - np.int64(at - start)
                if at == start:
                    return False

            if text[at] == _E or text[at] == _LARGE_E:
                sign = text[at + _ONE]
                start = at + _TWO if sign in (_MINUS, _PLUS) else at + _ONE
                at, exponent, left_out = _digits(text, start, end, _NOTHING)
                power += -exponent if sign == _MINUS else exponent
                if at == start or left_out > 0:
                    return False

            if power < -_LARGEST_POWER or power > _LARGEST_POWER:
                return False
            near = mantissa * _POWERS[power + _LARGEST_POWER]
            value = np.float32(near * _BELOW)
            # The slower reader tells -0 from -0.0.
            if value != np.float32(near * _ABOVE) or (negative and mantissa == 0):
                return False
            values[i] = -value if negative else value

        at = _after_spaces(text, at)
        if text[at] != _COMMA:
            return at == end and i == len(values) - 1
    return False


@njit(inline="always")
def _after_spaces(text: NDArray[np.uint8], at: np.uint64) -> np.uint64:
    while text[at] == _SPACE or text[at] == _NEWLINE or text[at] == _RETURN or text[at] == _TAB:
        at += _ONE
    return at


@njit(inline="always")
def _digits(
    text: NDArray[np.uint8], at: np.uint64, end: np.uint64, mantissa: np.int64
) -> tuple[np.uint64, np.int64, int]:
    """Return the place after some digits, the mantissa with them, and how many had no room."""
    while mantissa < _EIGHT_FIT and at + _EIGHT <= end:
        # One load for the compiler; the first digit is in the lowest byte.
        word = np.uint64(0)
        for k in range(8):
            word |= np.uint64(text[at + np.uint64(k)]) << np.uint64(8 * k)

        eight = _eight_digits(word)
        if eight < 0:
            break
        mantissa = mantissa * 10**8 + eight
        at += _EIGHT

    left_out = 0
    digit = np.int64(text[at]) - _ZERO
    while digit >= 0 and digit <= 9:
        if mantissa < _FULL:
            mantissa = mantissa * 10 + digit
        else:
            left_out += 1
        at += _ONE
        digit = np.int64(text[at]) - _ZERO
    return at, mantissa, left_out


@njit(cache=True, nogil=True)
def _eight_digits(word: np.uint64) -> np.int64:
    """Return the number that the bytes of a word are the digits of, -1 where one is no digit."""
    word ^= np.uint64(0x3030303030303030)
    if (word | (word + np.uint64(0x0606060606060606))) & np.uint64(0xF0F0F0F0F0F0F0F0):
        return _NO_DIGITS

    # Pairs of digits, of pairs, and of fours, side by side.
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    word = (word * np.uint64(10000) + (word >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return np.int64(word)
