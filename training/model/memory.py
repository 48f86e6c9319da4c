"""Memory: what a step of the fit no longer needs is given back to the system."""

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Collect what is unreachable, and return the memory that is free to the system.

    The graphs that an export converts refer to each other: half a gigabyte that would be kept
    until the end of the fit.
    """
    gc.collect()
    # Other libraries than GNU's have no malloc_trim, and need none.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
