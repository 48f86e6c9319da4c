"""By which names a server may be called, from which pages, and with which tokens."""

import socket
from pathlib import Path

import pytest

from outcrop import InputError
from outcrop._guard import OwnNames, TokenFile, is_loopback, is_own_origin


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:3000", "10.0.0.7:3000", "[::1]:3000", "[::1]", "localhost:3000"),
        *("LOCALHOST", "outcrop.svc:3000", "Outcrop.SVC", f"{socket.gethostname()}:3000"),
    ],
)
def test_an_address_and_the_own_names_are_known(host: str) -> None:
    assert host in OwnNames(["outcrop.SVC"])


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "svc", "1.2.3", ""),
        *("a@b", "[evil.example]", ":3000", "outcrop.svc.evil.example"),
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert host not in OwnNames(["outcrop.svc"])


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        *((None, True), ("http://127.0.0.1:3000", True), ("HTTP://127.0.0.1:3000", True)),
        *(("http://127.0.0.1:8888", False), ("http://127.0.0.1", False), ("null", False)),
        *(("https://evil.example", False), ("https://evil.example/?://127.0.0.1:3000", False)),
        ("", False),
    ],
)
def test_the_origin_must_be_the_server_itself(origin: str | None, own: bool) -> None:
    assert is_own_origin(origin, "127.0.0.1:3000") == own


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True)),
        *(("localhost", True), ("10.0.0.7", False), ("::", False)),
        ("localhost.evil.example", False),
    ],
)
def test_loopback_addresses_are_no_others(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_a_token_counts_as_long_as_it_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("first\n")
    tokens = TokenFile(file, "--tokens", "test")
    first = tokens.digest("first")
    assert first is not None
    assert tokens.digest("second") is None

    file.write_text("first\nsecond-token\n")
    assert first in tokens
    assert tokens.digest("second-token") is not None
    file.write_text("second-token\n")
    assert first not in tokens
    file.write_text("")
    assert tokens.digest("second-token") is None
    file.unlink()
    assert tokens.digest("second-token") is None


def test_a_token_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("0123456789abcde\n")
    with pytest.raises(InputError, match=r"tokens has a token of less than 16 letters; python -m"):
        TokenFile(tmp_path / "tokens", "--tokens", "test", 16)
