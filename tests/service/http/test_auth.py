"""Who is let in: holders of a token, or, without tokens, those on the same machine."""

import hmac
from pathlib import Path
from typing import Any

import pytest

from service.http.auth import Guard
from service.http.errors import Problem
from service.settings import SettingsError


def refused(guard: Guard, authorization: str | None, address: str | None = "127.0.0.1") -> bool:
    try:
        guard.check(authorization, address)
    except Problem as problem:
        return (problem.status, problem.headers) == (401, {"WWW-Authenticate": "Bearer"})
    return False


def rewrite(file: Path, text: str) -> None:
    """Replace the file, as Kubernetes replaces a secret's."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None])
def test_without_tokens_the_own_machine_is_let_in(address: str | None) -> None:
    assert not refused(Guard(None, allow_anonymous=False), None, address)


@pytest.mark.parametrize("address", ["10.0.0.7", "::", "::ffff:10.0.0.7", "myhost"])
def test_without_tokens_other_machines_are_not(address: str) -> None:
    assert refused(Guard(None, allow_anonymous=False), None, address)
    assert not refused(Guard(None, allow_anonymous=True), None, address)


def test_with_tokens_everybody_needs_one_and_either_will_do(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("old-token\nnew-token\n")
    guard = Guard(file, allow_anonymous=True)
    assert not refused(guard, "Bearer old-token")
    assert not refused(guard, "bearer new-token", "10.0.0.7")
    for wrong in (None, "", "Bearer", "Bearer ", "Bearer old-toke", "Basic old-token", "old-token"):
        assert refused(guard, wrong)


def test_a_token_is_compared_in_constant_time_with_every_known_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    file.write_text("old-token\nnew-token\n")
    guard = Guard(file, allow_anonymous=False)
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes, plain: Any = hmac.compare_digest) -> bool:
        compared.append((len(one), len(other)))
        return plain(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for token in ("old-token", "new-token", "o", "x" * 1000):
        known = token in ("old-token", "new-token")
        assert refused(guard, f"Bearer {token}") == (not known)
    assert compared == [(32, 32)] * 8


def test_tokens_rotate_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first")
    guard = Guard(file, allow_anonymous=False)
    rewrite(file, "first\nsecond")
    assert not refused(guard, "Bearer second")
    rewrite(file, "second")
    assert refused(guard, "Bearer first")
    assert not refused(guard, "Bearer second")


def test_a_file_that_went_wrong_lets_nobody_in_until_it_is_right(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first")
    guard = Guard(file, allow_anonymous=False)
    rewrite(file, "")
    assert refused(guard, "Bearer first")
    assert refused(guard, "Bearer ")
    file.unlink()
    assert refused(guard, "Bearer first")
    rewrite(file, "first")
    assert not refused(guard, "Bearer first")


@pytest.mark.parametrize("text", ["", "\n \n", "a\nb\nc\n"])
def test_a_service_does_not_start_without_one_or_two_tokens(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"tokens holds \d tokens; write one, or two"):
        Guard(file, allow_anonymous=False)


def test_a_service_does_not_start_without_its_tokens_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        Guard(tmp_path / "absent", allow_anonymous=False)
