"""Signals: the first SIGINT or SIGTERM ends the work in order, a second one at once."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Generator[list[int]]:
    """Call a function at the first SIGINT or SIGTERM; a second one ends the process.

    Yields a list to which the signal's number is added. Only the main thread can handle signals.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, _: FrameType | None) -> None:
        caught.append(number)
        # Python's own handler would wait for the threads of the petals in progress.
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        # Not print: the signal may have interrupted one.
        os.write(2, b"outcrop: finishing the petals in progress; press Ctrl-C again to stop now\n")
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
