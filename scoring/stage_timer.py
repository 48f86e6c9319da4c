"""Stage timer: how long each stage of a spectrum's way takes, told to whoever wants to know."""

import time
from collections.abc import Callable

Observe = Callable[[str, float], object]
"""Is given a stage's name and its seconds."""


class StageTimer:
    """Times stages that follow each other.

    Parameters
    ----------
    observe : callable, optional
        Called at the end of each stage; None: nobody listens.
    """

    def __init__(self, observe: Observe | None = None) -> None:
        self._observe = observe
        self._begun = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage; the next begins."""
        if self._observe is not None:
            now = time.perf_counter()
            self._observe(stage, now - self._begun)
            self._begun = now
