"""Client request: one HTTP request and the checks of its response, but not its sending.

Both clients use it. A request keeps its id through all its tries.
"""

import json
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import httpx2

from .._constants import URL
from ..errors import ConnectionFailed, InputError, Timeout, WireError, status_error
from .retries import Deadline

_QUOTED: Final = 200  # characters of a response that is not JSON of ours


@dataclass(frozen=True)
class ClientRequest:
    """One HTTP request.

    Attributes
    ----------
    method, url : str
    headers : dict
    body : bytes
    request_id : str
        Sent as X-Request-ID.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def arguments(self, deadline: Deadline) -> dict[str, Any]:
        """Return the arguments of `httpx2.Client.stream`; Timeout where no time is left."""
        left = deadline.left
        if left <= 0:
            raise self.timeout(deadline)
        return {
            "method": self.method,
            "url": self.url,
            "headers": {**self.headers, "X-Request-ID": self.request_id},
            "content": self.body or None,
            "timeout": left,
        }

    def timeout(self, deadline: Deadline) -> Timeout:
        """Return the error for an incomplete response at the deadline."""
        return Timeout(
            f"{self.url} gave no complete answer within {deadline.timeout:g} s; "
            "raise timeout or send fewer spectra",
            request_id=self.request_id,
        )

    @contextmanager
    def translated_errors(self, deadline: Deadline) -> Generator[None]:
        """Raise this package's errors in place of httpx2's."""
        try:
            yield
        except httpx2.TimeoutException as error:
            raise self.timeout(deadline) from error
        except httpx2.DecodingError as error:
            raise WireError(
                f"{self.url} sent an answer that cannot be decompressed: {error}",
                request_id=self.request_id,
            ) from error
        except httpx2.RequestError as error:
            raise ConnectionFailed(
                f"{self.url} cannot be reached: {error or type(error).__name__}; "
                "is the service running, and is the address right?",
                request_id=self.request_id,
            ) from error

    def check_status(self, response: httpx2.Response, content: bytes | bytearray) -> None:
        """Raise the error of the response's status, if it is not 200."""
        if response.status_code == 200:
            return
        text, request_id = _error_text(content)
        raise status_error(
            response.status_code,
            f"{self.url} answered {response.status_code} {response.reason_phrase}: {text}",
            request_id=request_id or response.headers.get("X-Request-ID", self.request_id),
            retry_after=_retry_after(response.headers.get("Retry-After")),
        )

    def malformed(self, error: Exception) -> WireError:
        """Return the error for a response of status 200 whose content is not valid."""
        return WireError(
            f"{self.url} sent an answer that cannot be used: {error}; is it an Outcrop service?",
            request_id=self.request_id,
        )


@dataclass(frozen=True)
class Reply:
    """A response of status 200, completely read."""

    headers: httpx2.Headers
    content: bytes | bytearray


def _error_text(content: bytes | bytearray) -> tuple[str, str | None]:
    """Return the error text of a response, and the request id where it states one."""
    text = content.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        answer = cast(dict[str, Any], answer)
        if isinstance(answer.get("error"), str):
            request_id = answer.get("request_id")
            return answer["error"], request_id if isinstance(request_id, str) else None
    return " ".join(text.split())[:_QUOTED] or "no explanation", None


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None for neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    # RFC 9110: a date without a zone is GMT.
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def checked_settings(url: str, timeout: float, token: str | None) -> tuple[str, dict[str, str]]:
    """Return the base address without a final slash, and the headers of every request.

    Raises
    ------
    InputError
        Where one of the three cannot be used.
    """
    try:
        parsed = httpx2.URL(f"{url.rstrip('/')}/model")
    except (AttributeError, httpx2.InvalidURL) as error:
        raise InputError(f"url is {url!r}: {error}; expected as {URL}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise InputError(f"url is {url!r}; expected as {URL}")
    # Written so that NaN counts as wrong.
    if not timeout > 0:
        raise InputError(f"timeout is {timeout!r}; expected seconds, more than 0")
    if token is None:
        return url.rstrip("/"), {}
    if not token or not token.isascii() or not token.isprintable():
        raise InputError("token is empty or has characters that an HTTP header cannot carry")
    return url.rstrip("/"), {"Authorization": f"Bearer {token}"}
