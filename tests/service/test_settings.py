"""The settings are read once, checked, and documented as they are."""

from pathlib import Path

import pytest

from service.http.body import MAX_HEADER_BYTES
from service.settings import Settings, SettingsError, documentation

ROOT = Path(__file__).parents[2]


def test_the_documentation_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == documentation()


def test_the_default_limits_are_as_documented() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert defaults["max_body_bytes"] == 80 * 2**20
    assert defaults["max_json_bytes"] == 8 * 2**20
    assert defaults["max_spectra"] == 1000
    assert defaults["deadline_seconds"] == 60
    assert defaults["tokens_file"] is None
    assert defaults["labels_file"] is None
    assert defaults["allow_anonymous"] is False
    assert MAX_HEADER_BYTES == 64 * 2**10


def test_without_a_model_the_message_says_how_to_set_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUTCROP_MODEL", raising=False)
    with pytest.raises(SettingsError, match=r"OUTCROP_MODEL is not set; set it to a bundle"):
        Settings.read()


def test_each_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_MODEL", "demo/model")
    monkeypatch.setenv("OUTCROP_MAX_SPECTRA", "many")
    monkeypatch.setenv("OUTCROP_DEADLINE_SECONDS", "-1")
    monkeypatch.setenv("OUTCROP_ALLOWED_HOSTS", "http://outcrop:3000")
    with pytest.raises(SettingsError) as raised:
        Settings.read()
    assert "OUTCROP_MAX_SPECTRA is 'many'" in str(raised.value)
    assert "OUTCROP_DEADLINE_SECONDS is '-1'" in str(raised.value)
    assert "write names only, without scheme or port" in str(raised.value)


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_MODEL", "outcrop:1")
    monkeypatch.setenv("OUTCROP_THREADS", "3")
    monkeypatch.setenv("OUTCROP_ALLOW_ANONYMOUS", "1")
    monkeypatch.setenv("OUTCROP_TOKENS_FILE", "")
    monkeypatch.setenv("OUTCROP_ALLOWED_HOSTS", "outcrop, Outcrop.svc,")
    settings = Settings.read()
    assert (settings.model, settings.threads) == ("outcrop:1", 3)
    assert settings.allow_anonymous
    assert settings.tokens_file is None
    assert settings.allowed_hosts == ("outcrop", "outcrop.svc")
