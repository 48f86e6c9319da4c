"""An error is one JSON object, whatever its message quotes."""

import json

import pytest

from service.http.errors import Problem


def test_a_problem_is_answered_with_its_message_status_and_headers() -> None:
    response = Problem(429, "busy; try again", headers={"Retry-After": "1"}).response("id-1")
    assert response.status_code == 429
    assert response.headers["retry-after"] == "1"
    assert response.headers["content-type"] == "application/json"
    assert json.loads(bytes(response.body)) == {"error": "busy; try again", "request_id": "id-1"}


@pytest.mark.parametrize("text", ['"', "\n", "Å", "\ud800", "\x00"])
def test_any_text_can_be_quoted(text: str) -> None:
    body = json.loads(bytes(Problem(400, f"flux is {text}").response("id").body))
    assert body["error"].startswith("flux is ")
    assert body["error"] == f"flux is {text}" or text == "\ud800"
