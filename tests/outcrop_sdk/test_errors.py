"""Each HTTP status has its exception, and all of them are of one tree."""

import re
from pathlib import Path

import pytest

import outcrop
from outcrop.errors import OutcropError, StatusError, status_error

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


def documented() -> list[tuple[int, str]]:
    rows = re.findall(r"^\| ([\d, ]+) \| `(\w+)` \|", README.read_text(), re.MULTILINE)
    return [(int(status), name) for statuses, name in rows for status in statuses.split(",")]


@pytest.mark.parametrize(("status", "name"), documented())
def test_a_status_has_the_exception_of_the_readme(status: int, name: str) -> None:
    assert type(status_error(status, "no")) is getattr(outcrop, name)


def test_the_readme_documents_the_statuses() -> None:
    assert {400, 401, 413, 415, 429, 502, 503, 504} == {status for status, _ in documented()}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, outcrop.ServerError),
        (599, outcrop.ServerError),
        (404, StatusError),
        (302, StatusError),
    ],
)
def test_other_statuses_have_the_error_of_their_class(status: int, kind: type[StatusError]) -> None:
    assert type(status_error(status, "no")) is kind


def test_every_exported_error_is_an_outcrop_error() -> None:
    exported = [getattr(outcrop, name) for name in outcrop.__all__]
    kinds = [kind for kind in exported if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) == 15
    assert [kind for kind in kinds if not issubclass(kind, OutcropError)] == []


def test_bad_input_is_a_value_error_too() -> None:
    assert issubclass(outcrop.InputError, ValueError)
    assert issubclass(outcrop.WireError, ValueError)


def test_the_message_names_the_request() -> None:
    error = status_error(429, "busy", request_id="a1", retry_after=3.0)
    assert str(error) == "busy (request a1)"
    assert (error.request_id, error.status, error.retry_after) == ("a1", 429, 3.0)
