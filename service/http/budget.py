"""Budget: the bytes of requests and responses that are in memory at one time.

A body counts from the moment its bytes arrive until the work on them is over, a response until the
client has taken it. Only bodies are ever refused: a response that is ready costs less when it is
sent.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import Problem

PATIENCE_SECONDS = 2.0
"""Time without progress after which an upload is ended where the budget is full."""


@dataclass(eq=False)
class Upload:
    """A body that is not complete.

    Attributes
    ----------
    end : callable
        Ends it, soon; its bytes are then given back.
    progressed : float
        When it last made progress, on the clock of `time.monotonic`.
    """

    end: Callable[[], None]
    progressed: float = field(default_factory=time.monotonic)


class Budget:
    """Bytes of requests and responses.

    Parameters
    ----------
    total : int

    Attributes
    ----------
    held : int
        Bytes in memory now.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = 0
        self._uploads: set[Upload] = set()

    def take(self, size: int) -> None:
        """Count more bytes of a body.

        Raises
        ------
        Problem
            429 where they are too many. Uploads that make no progress are then ended, so that
            there is room at the next try.
        """
        if self.held + size > self.total:
            self._end_stalled()
            raise self._full()
        self.held += size

    def give(self, size: int) -> None:
        """Count fewer bytes."""
        self.held -= size

    def check(self) -> None:
        """Check, before work begins, that responses leave room for one more.

        Raises
        ------
        Problem
            429.
        """
        if self.held > self.total:
            raise self._full()

    @contextmanager
    def responding(self, size: int) -> Iterator[None]:
        """Count the bytes of a response while it is sent."""
        self.held += size
        try:
            yield
        finally:
            self.held -= size

    @contextmanager
    def uploading(self, end: Callable[[], None]) -> Iterator[Upload]:
        """Know an upload while it lasts."""
        upload = Upload(end)
        self._uploads.add(upload)
        try:
            yield upload
        finally:
            self._uploads.remove(upload)

    def _end_stalled(self) -> None:
        latest = time.monotonic() - PATIENCE_SECONDS
        for upload in self._uploads:
            if upload.progressed < latest:
                upload.end()

    def _full(self) -> Problem:
        return Problem(
            429,
            f"the server holds {self.held} of at most {self.total} bytes of requests and "
            "responses; try again later",
            reason="bytes",
            headers={"Retry-After": "1"},
        )
