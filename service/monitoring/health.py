"""Health: whether the process lives, and whether new work should be sent to it."""

from pathlib import Path

from starlette.responses import JSONResponse, Response

from ..http.errors import Problem
from ..http.router import Exchange, Page, Route


class Health:
    """Answers probes.

    Parameters
    ----------
    drain_file : Path or None
        While it exists, the service says that it is not ready, and works on.

    Attributes
    ----------
    warm : bool
        Whether the model has been loaded and has scored a spectrum; set by the application.
    fault : str or None
        Why the model must not be used, whatever else; set by the application.
    """

    def __init__(self, drain_file: Path | None) -> None:
        self._drain_file = drain_file
        self.warm = False
        self.fault: str | None = None

    def routes(self) -> list[Route]:
        """Return what is answered here."""
        return [
            Page("/livez", self.livez, is_open=True),
            Page("/readyz", self.readyz, is_open=True),
        ]

    @property
    def trouble(self) -> str | None:
        """Why no new work should be sent here, and what to do about it; None when ready."""
        if not self.warm:
            return "the model has not scored its first spectrum yet; wait"
        if self.fault is not None:
            return self.fault
        if self._drain_file is not None and self._drain_file.exists():
            return f"draining, because {self._drain_file} exists; send work elsewhere"
        return None

    def check(self) -> None:
        """Raise a Problem with status 503 while no new work should be sent here."""
        trouble = self.trouble
        if trouble is not None:
            raise Problem(503, trouble)

    def livez(self, exchange: Exchange) -> Response:
        """Answer at once, without the model: a busy process is alive."""
        return JSONResponse({"status": "alive"})

    def readyz(self, exchange: Exchange) -> Response:
        """Answer 200, or 503 with the reason."""
        self.check()
        return JSONResponse({"status": "ready"})
