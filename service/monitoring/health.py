"""Health: whether the process is alive, and whether new requests should be sent to it."""

from pathlib import Path
from typing import Literal

from starlette.responses import Response

from ..http.errors import Problem
from ..http.responses import ResponseModel
from ..http.router import GetRoute, RequestContext, Route


class State(ResponseModel):
    """The response to a probe."""

    status: Literal["alive", "ready"]


class Health:
    """Answer probes.

    Parameters
    ----------
    drain_file : Path or None
        While it exists, the service is not ready, but answers requests as before.

    Attributes
    ----------
    warm : bool
        Whether the model has been loaded and has scored a spectrum; set by the application.
    fault : str or None
        Why the model must not be used; set by the application.
    """

    def __init__(self, drain_file: Path | None) -> None:
        self._drain_file = drain_file
        self.warm = False
        self.fault: str | None = None

    def routes(self) -> list[Route]:
        """Return the probes' routes."""
        return [
            GetRoute("/livez", self.livez, is_open=True),
            GetRoute("/readyz", self.readyz, is_open=True),
        ]

    @property
    def trouble(self) -> str | None:
        """Why no new requests should be sent here, and the remedy; None when ready."""
        if not self.warm:
            return "the model has not scored its first spectrum yet; wait"
        if self.fault is not None:
            return self.fault
        if self._drain_file is not None and self._drain_file.exists():
            return f"draining, because {self._drain_file} exists; send requests elsewhere"
        return None

    def check(self) -> None:
        """Raise a Problem with status 503 while the service is not ready."""
        trouble = self.trouble
        if trouble is not None:
            raise Problem(503, trouble)

    def livez(self, _: RequestContext) -> Response:
        """Return 200 at once, without the model: a busy process is alive."""
        return State(status="alive").response()

    def readyz(self, _: RequestContext) -> Response:
        """Return 200, or 503 with the reason."""
        self.check()
        return State(status="ready").response()
