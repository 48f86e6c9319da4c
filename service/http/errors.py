"""Errors: every way a request can fail, in the one shape clients see."""

from collections.abc import Mapping

from pydantic import Field
from starlette.responses import Response

from .responses import ResponseModel

REFUSAL = "outcrop.refusal"
"""Name of the ASGI extension that holds the `Problem` with which a request must be answered."""


class Error(ResponseModel):
    """Every error."""

    error: str = Field(description="The field or header at fault, its value and the remedy")
    request_id: str = Field(description="The request's name in the server's log")


class Problem(Exception):  # noqa: N818 (named for what it is to the client)
    """A request that is answered with an `Error`.

    Parameters
    ----------
    status : int
        HTTP status code.
    message : str
        Names the field or header, its value and the remedy.
    reason : str, optional
        Short word from a fixed set under which a rejection is counted; None where the request
        was accepted and failed later.
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
        """Return the HTTP response."""
        # A message may quote the request, and JSON strings may hold lone surrogates.
        message = str(self).encode(errors="backslashreplace").decode()
        return Error(error=message, request_id=request_id).response(self.status, self.headers)


class ClientDisconnected(Exception):  # noqa: N818
    """The client closed its connection before the response was sent."""


def forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of an error and of its causes, once it is logged and answered.

    Their frames hold the body, and a future in them holds the error: a cycle, which would keep the
    body in memory until the garbage collector comes.
    """
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
