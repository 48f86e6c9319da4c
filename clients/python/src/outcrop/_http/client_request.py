"""Client request: one HTTP request and the checks of its response, but not its sending.

Both clients use it. A request keeps its id through all its tries.
"""

import base64
import json
import reprlib
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import httpx2

from .._constants import ANSWER_BYTES, ERROR_BYTES, URL
from ..errors import ConnectionFailed, InputError, Timeout, WireError, status_error
from .retries import Deadline

_QUOTED: Final = 200  # characters of a response that is not JSON of ours
_REMEDIES: Final = {
    401: "; the token is that of OUTCROP_TOKEN, in Python of Client(token=...)",
    404: "; is it an Outcrop service, and as new as this client?",
}
"""What to do about an error of this status."""
_LONGEST: Final = 2000  # characters of an error text


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
    limit : int
        Bytes that the response may have.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    limit: int = ANSWER_BYTES

    def arguments(self, deadline: Deadline) -> dict[str, Any]:
        """Return the arguments of `httpx2.Client.stream`; Timeout where no time is left."""
        left = deadline.left
        if left <= 0:
            raise self.timeout(deadline)
        return {
            "method": self.method,
            "url": self.url,
            "headers": {
                **self.headers,
                "X-Request-ID": self.request_id,
                # The size of a compressed response is known only after decompression.
                "Accept-Encoding": "identity",
            },
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
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise self.timeout(deadline) from error
        except httpx2.RequestError as error:
            raise ConnectionFailed(
                f"{self.url} cannot be reached: {error or type(error).__name__}; "
                "is the service running, and is the address right?",
                request_id=self.request_id,
            ) from error

    def check_headers(self, response: httpx2.Response) -> None:
        """Raise a WireError where the content of a response of status 200 must not be read."""
        if response.status_code != 200:
            return
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise self.malformed(
                ValueError(f"it is compressed as {reprlib.repr(encoding)}, which was not requested")
            )
        announced = response.headers.get("Content-Length", "0")
        if announced.isdecimal() and int(announced) > self.limit:
            raise self._too_long()

    def add(self, response: httpx2.Response, content: bytearray, part: bytes) -> bool:
        """Add a part to the content; return whether to read on.

        Raises
        ------
        WireError
            Where the response is longer than the limit. Of an error, the first bytes are enough.
        """
        content += part
        if response.status_code != 200:
            return len(content) < ERROR_BYTES
        if len(content) > self.limit:
            raise self._too_long()
        return True

    def _too_long(self) -> WireError:
        return self.malformed(ValueError(f"it has more than {self.limit} bytes"))

    def check_status(self, response: httpx2.Response, content: bytes | bytearray) -> None:
        """Raise the error of the response's status, if it is not 200."""
        if response.status_code == 200:
            return
        text, request_id = _error_text(content)
        request_id = request_id or response.headers.get("X-Request-ID", self.request_id)
        remedy = _REMEDIES.get(response.status_code, "")
        raise status_error(
            response.status_code,
            f"{self.url} answered {response.status_code} {response.reason_phrase}: {text}{remedy}",
            reason=text,
            request_id=_printable(request_id)[:_QUOTED],
            retry_after=retry_after(response.headers.get("Retry-After")),
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
            error = _printable(answer["error"])[:_LONGEST]
            return error, request_id if isinstance(request_id, str) else None
    return _printable(text)[:_QUOTED] or "no explanation", None


def _printable(text: str) -> str:
    """Return a text of another machine as one line that no terminal obeys."""
    return "".join(one if one.isprintable() else "\ufffd" for one in " ".join(text.split()))


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None for neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    # RFC 9110: a date without a zone is GMT.
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def checked_settings(url: str, timeout: float, token: str | None) -> tuple[str, dict[str, str]]:
    """Return the base address without a final slash, and the headers of every request.

    A user and password in the address become a header, and appear in no message.

    Raises
    ------
    InputError
        Where one of the three cannot be used.
    """
    try:
        parsed = httpx2.URL(f"{url.rstrip('/')}/model")
    except (AttributeError, httpx2.InvalidURL) as error:
        # The reason could quote a part of the password.
        if "@" in str(url):
            raise InputError(f"url is {_hidden(url)!r}; expected as {URL}") from None
        raise InputError(f"url is {url!r}: {error}; expected as {URL}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query or parsed.fragment:
        raise InputError(f"url is {_hidden(url)!r}; expected as {URL}")
    # Written so that NaN counts as wrong.
    if not timeout > 0:
        raise InputError(f"timeout is {timeout!r}; expected seconds, more than 0")

    base = str(parsed.copy_with(userinfo=b"")).removesuffix("/model")
    if token is not None:
        if not token or not token.isascii() or not token.isprintable():
            raise InputError("token is empty or has characters that an HTTP header cannot carry")
        return base, {"Authorization": f"Bearer {token}"}
    if parsed.userinfo:
        password = base64.b64encode(f"{parsed.username}:{parsed.password}".encode()).decode()
        return base, {"Authorization": f"Basic {password}"}
    return base, {}


def _hidden(url: str) -> str:
    """Return an address without what stands before its last @: user and password."""
    _, at, host = url.rpartition("@")
    return f"…@{host}" if at else url
