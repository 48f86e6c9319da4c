"""A request keeps its id, and an error status becomes an exception with the service's words."""

import base64
import email.utils
import json
import re
import time
import traceback

import httpx2
import pytest

import outcrop
from outcrop._http.client_request import ClientRequest, checked_settings
from outcrop._http.retries import Deadline

REQUEST = ClientRequest("GET", "http://x/model", {"A": "b"})


def error_of(status: int, content: bytes, **headers: str) -> outcrop.StatusError:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(outcrop.StatusError) as caught:
        REQUEST.check_status(httpx2.Response(status, headers=names), content)
    return caught.value


def test_every_try_has_the_same_id() -> None:
    arguments = [REQUEST.arguments(Deadline(9)) for _ in range(2)]
    for each in arguments:
        assert each["headers"] == {
            "A": "b",
            "X-Request-ID": REQUEST.request_id,
            "Accept-Encoding": "identity",
        }
    assert REQUEST.request_id != ClientRequest("GET", "http://x/model").request_id


def test_a_request_after_the_deadline_is_a_timeout() -> None:
    with pytest.raises(outcrop.Timeout, match=r"within 1e-09 s; .* \(request "):
        REQUEST.arguments(Deadline(1e-9))


def test_status_200_is_no_error() -> None:
    REQUEST.check_status(httpx2.Response(200), b"")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no explanation"),
        (b"<html>\n  Bad   Gateway </html>", "<html> Bad Gateway </html>"),
        (b"\xff\xfe", "400"),
        (b'["a list"]', "a list"),
        (b'{"error": 5}', "error"),
        (b"[" * 5000, "400"),
    ],
)
def test_an_error_of_another_server_is_quoted(body: bytes, text: str) -> None:
    error = error_of(400, body)
    assert text in str(error)
    assert len(str(error)) < 500
    assert error.request_id == REQUEST.request_id


def test_an_error_text_is_one_line_that_no_terminal_obeys() -> None:
    body = json.dumps({"error": "a\x1b[2Jb\nc\ud800" + "x" * 9000}).encode()
    error = str(error_of(400, body, X_Request_ID="i\x1b[d"))
    assert "a\ufffd[2Jb c\ufffdxxx" in error
    assert error.isprintable()
    assert len(error) < 2500


def test_the_request_id_of_the_service_is_the_errors() -> None:
    assert error_of(400, b'{"error": "no", "request_id": "theirs"}').request_id == "theirs"
    assert error_of(400, b"no", X_Request_ID="theirs").request_id == "theirs"


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    for value in ("3600", email.utils.formatdate(time.time() + 3600)):
        assert error_of(429, b"", Retry_After=value).retry_after == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("value", ["soon", "-5", "", "Mon, 99 Zzz 2020 00:00:00 GMT"])
def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    assert error_of(503, b"", Retry_After=value).retry_after is None


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (httpx2.ReadTimeout("slow"), outcrop.Timeout),
        (TimeoutError(), outcrop.Timeout),
        (httpx2.ConnectError("refused"), outcrop.ConnectionFailed),
        (httpx2.RemoteProtocolError("broken"), outcrop.ConnectionFailed),
    ],
)
def test_errors_of_httpx_become_ours(raised: Exception, kind: type[outcrop.OutcropError]) -> None:
    with pytest.raises(kind) as caught, REQUEST.translated_errors(Deadline(9)):
        raise raised
    assert caught.value.request_id == REQUEST.request_id
    assert caught.value.__cause__ is raised


def test_a_final_slash_is_dropped_and_a_token_is_sent() -> None:
    url, headers = checked_settings("http://x/outliers/", 1, "s3cret")
    assert (url, headers) == ("http://x/outliers", {"Authorization": "Bearer s3cret"})


def test_user_and_password_become_a_header_and_leave_the_address() -> None:
    url, headers = checked_settings("https://ada:p%40ss@x:8443/outliers/", 1, None)
    assert url == "https://x:8443/outliers"
    assert headers == {"Authorization": f"Basic {base64.b64encode(b'ada:p@ss').decode()}"}
    assert checked_settings("http://ada:pass@x", 1, "s3cret") == (
        "http://x",
        {"Authorization": "Bearer s3cret"},
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://ada:s3cret@x:port",
        "http://ada:s3cret@x?a=b",
        "http://ada:s3/cret@x",
        "ftp://ada:s3cret@x",
        "ada:s3cret@x",
    ],
)
def test_no_message_holds_a_password(url: str) -> None:
    with pytest.raises(outcrop.InputError, match="url is '…@") as caught:
        checked_settings(url, 1, None)
    shown = "".join(traceback.format_exception(caught.value))
    assert "cret" not in shown.replace(repr(url), "")
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "nowhere", "ftp://x", "http://", "http://x:port", "http://x?a=b", 5]
)
def test_an_invalid_address_is_refused(url: str) -> None:
    with pytest.raises(outcrop.InputError, match=f"url is {re.escape(repr(url))}"):
        checked_settings(url, 1, None)


@pytest.mark.parametrize(
    ("timeout", "token", "reason"),
    [
        (0, None, "timeout is 0"),
        (float("nan"), None, "timeout is nan"),
        (1, "", "token is empty"),
        (1, "a\nb", "token is empty or has characters"),
    ],
)
def test_an_invalid_timeout_or_token_is_refused(
    timeout: float, token: str | None, reason: str
) -> None:
    with pytest.raises(outcrop.InputError, match=reason):
        checked_settings("http://x", timeout, token)
