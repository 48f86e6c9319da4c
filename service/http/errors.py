"""Problem: every way a request can fail, in the one shape clients see."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response


class Problem(Exception):  # noqa: N818 (named for what it is to the client)
    """A request that is answered with an error: ``{"error": ..., "request_id": ...}``.

    Parameters
    ----------
    status : int
        HTTP status code.
    message : str
        Names the field or header, its value and the remedy.
    reason : str, optional
        Short word from a fixed set under which a refusal is counted; None where the request
        was taken in and failed later.
    headers : mapping, optional
        Further HTTP headers, such as Retry-After.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})

    def response(self, request_id: str) -> Response:
        """Return what the client is sent."""
        content = {"error": str(self), "request_id": request_id}
        return JSONResponse(content, self.status, self.headers)


class ClientGone(Exception):  # noqa: N818
    """The client closed its connection before it was answered."""
