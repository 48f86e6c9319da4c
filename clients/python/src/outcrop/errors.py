"""Every exception the SDK raises on purpose.

::

    OutcropError
    ├── InputError            (ValueError) a file or an argument is not what it must be
    ├── FolderInUse           another night works on the folder
    ├── LabelsUnavailable     labels cannot be read or kept now
    ├── WireError             (ValueError) a message is not valid Open Inference Protocol
    ├── ModelChanged          scores are of another model than expected
    ├── ConnectionFailed      no connection to the address, or the connection broke
    ├── Timeout               no complete answer before the deadline
    └── StatusError           the service answered with an error status
        ├── BadRequest              400
        ├── Unauthorized            401
        ├── TooLarge                413
        ├── UnsupportedMediaType    415
        ├── RateLimited             429
        └── ServerError             500 to 599
"""

from typing import Final


class OutcropError(Exception):
    """Base of all errors of this package.

    Attributes
    ----------
    request_id : str or None
        The id of the request in the service's log; None where no request was made.
    """

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message if request_id is None else f"{message} (request {request_id})")
        self.request_id = request_id


class InputError(OutcropError, ValueError):
    """A file or an argument is not what it must be; the message names it and the remedy."""


class FolderInUse(OutcropError):  # noqa: N818 (named for what is)
    """Another night works on the folder; the message says which process."""


class LabelsUnavailable(OutcropError):  # noqa: N818
    """Labels cannot be read or kept now; the message says why, and what to do."""


class WireError(OutcropError, ValueError):
    """A message is not valid Open Inference Protocol; the message names field and remedy."""


class ModelChanged(OutcropError):  # noqa: N818 (named for what happened)
    """Scores are of another model than expected: the service changed its model."""


class ConnectionFailed(OutcropError):  # noqa: N818
    """The address cannot be connected to, or the connection broke during the answer."""


class Timeout(OutcropError):  # noqa: N818
    """No complete answer arrived before the deadline."""


class StatusError(OutcropError):
    """The service answered with an error status.

    Attributes
    ----------
    status : int
        The HTTP status code.
    retry_after : float or None
        Seconds to wait before another try, from the Retry-After header.
    reason : str
        The service's explanation.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        request_id: str | None = None,
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.status = status
        self.retry_after = retry_after
        self.reason = reason


class BadRequest(StatusError):  # noqa: N818
    """400: the service cannot read the request."""


class Unauthorized(StatusError):  # noqa: N818
    """401: the token is missing or wrong."""


class TooLarge(StatusError):  # noqa: N818
    """413: the request has more bytes or spectra than the service accepts."""


class UnsupportedMediaType(StatusError):  # noqa: N818
    """415: the service does not read this content type."""


class RateLimited(StatusError):  # noqa: N818
    """429: the service is too busy."""


class ServerError(StatusError):
    """500 to 599: the service failed, or cannot answer now."""


_BY_STATUS: Final[dict[int, type[StatusError]]] = {
    400: BadRequest,
    401: Unauthorized,
    413: TooLarge,
    415: UnsupportedMediaType,
    429: RateLimited,
}


def status_error(
    status: int,
    message: str,
    *,
    request_id: str | None = None,
    retry_after: float | None = None,
    reason: str = "",
) -> StatusError:
    """Return the error of the class that belongs to an HTTP status.

    Examples
    --------
    >>> status_error(503, "503 Service Unavailable: draining", request_id="a1")
    ServerError('503 Service Unavailable: draining (request a1)')
    """
    kind = _BY_STATUS.get(status, ServerError if 500 <= status < 600 else StatusError)
    return kind(
        message, status=status, request_id=request_id, retry_after=retry_after, reason=reason
    )
