"""Timing: wall-clock seconds of functions that run in turn."""

import time
from collections.abc import Callable, Mapping

import numpy as np

# The libraries' threads may spin for a while before they sleep.
_PAUSE = 0.05
_MIN_ROUNDS = 3

Seconds = dict[str, list[float]]


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(functions: Mapping[str, Callable[[], object]], seconds: float) -> Seconds:
    """Return the seconds of each function's calls.

    The functions run in turn, so that a machine that slows down slows all of them. Each is called
    once for warm-up and then at least three times.

    Parameters
    ----------
    functions : mapping of str to callable
    seconds : float
        No new round begins after this time.
    """
    for function in functions.values():
        function()

    taken: Seconds = {name: [] for name in functions}
    begun = time.monotonic()
    rounds = 0
    while rounds < _MIN_ROUNDS or time.monotonic() - begun < seconds:
        for name, function in functions.items():
            time.sleep(_PAUSE)
            taken[name].append(seconds_of(function))
        rounds += 1
    return taken


def median(seconds: list[float]) -> float:
    """Return the median."""
    return float(np.median(seconds))


def milliseconds(seconds: float) -> float:
    """Return milliseconds, to three significant digits."""
    return float(f"{1000 * seconds:.3g}")


def rate(count: int, seconds: float) -> int:
    """Return the number per second, to three significant digits."""
    return int(float(f"{count / seconds:.3g}"))
