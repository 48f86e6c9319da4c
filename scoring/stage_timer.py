"""StageTimer: the duration of each stage of scoring, reported to an observer."""

import time
from collections.abc import Callable

Observe = Callable[[str, float], object]
"""Called with a stage's name and its duration in seconds."""


class StageTimer:
    """Times stages that follow each other.

    Parameters
    ----------
    observe : callable, optional
        Called at the end of each stage; None: nothing is timed.
    """

    def __init__(self, observe: Observe | None = None) -> None:
        self._observe = observe
        self._start = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage and start the next."""
        if self._observe is not None:
            now = time.perf_counter()
            self._observe(stage, now - self._start)
            self._start = now
