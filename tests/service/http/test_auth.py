"""Requests with a token are accepted; where there are no tokens, those from the same machine."""

import hmac
from pathlib import Path
from typing import Any

import pytest

from service.http.auth import Authentication
from service.http.errors import Problem
from service.settings import SettingsError


def rejected(
    authentication: Authentication, authorization: str | None, address: str | None = "127.0.0.1"
) -> bool:
    try:
        authentication.check(authorization, address)
    except Problem as problem:
        return (problem.status, problem.headers) == (401, {"WWW-Authenticate": "Bearer"})
    return False


def rewrite(file: Path, text: str) -> None:
    """Replace the file, as Kubernetes replaces a secret's."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None])
def test_without_tokens_requests_from_this_machine_are_accepted(address: str | None) -> None:
    assert not rejected(Authentication(None, allow_anonymous=False), None, address)


@pytest.mark.parametrize("address", ["10.0.0.7", "::", "::ffff:10.0.0.7", "myhost"])
def test_without_tokens_requests_from_other_machines_are_rejected(address: str) -> None:
    assert rejected(Authentication(None, allow_anonymous=False), None, address)
    assert not rejected(Authentication(None, allow_anonymous=True), None, address)


def test_with_tokens_every_request_needs_one_of_them(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("old-token\nnew-token\n")
    authentication = Authentication(file, allow_anonymous=True)
    assert not rejected(authentication, "Bearer old-token")
    assert not rejected(authentication, "bearer new-token", "10.0.0.7")
    for wrong in (None, "", "Bearer", "Bearer ", "Bearer old-toke", "Basic old-token", "old-token"):
        assert rejected(authentication, wrong)


def test_a_token_is_compared_in_constant_time_with_every_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text("old-token\nnew-token\n")
    authentication = Authentication(file, allow_anonymous=False)
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes, plain: Any = hmac.compare_digest) -> bool:
        compared.append((len(one), len(other)))
        return plain(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in ("old-token", "new-token", "o", "x" * 1000):
        known = token in ("old-token", "new-token")
        assert rejected(authentication, f"Bearer {token}") == (not known)
    assert compared == [(32, 32)] * 8


def test_tokens_rotate_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first")
    authentication = Authentication(file, allow_anonymous=False)
    rewrite(file, "first\nsecond")
    assert not rejected(authentication, "Bearer second")
    rewrite(file, "second")
    assert rejected(authentication, "Bearer first")
    assert not rejected(authentication, "Bearer second")


def test_while_the_file_cannot_be_used_all_requests_are_rejected(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first")
    authentication = Authentication(file, allow_anonymous=False)
    rewrite(file, "")
    assert rejected(authentication, "Bearer first")
    assert rejected(authentication, "Bearer ")
    file.unlink()
    assert rejected(authentication, "Bearer first")
    rewrite(file, "first")
    assert not rejected(authentication, "Bearer first")


@pytest.mark.parametrize("text", ["", "\n \n", "a\nb\nc\n"])
def test_a_service_does_not_start_without_one_or_two_tokens(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"tokens holds \d tokens; write one, or two"):
        Authentication(file, allow_anonymous=False)


def test_a_service_does_not_start_without_its_tokens_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        Authentication(tmp_path / "absent", allow_anonymous=False)
