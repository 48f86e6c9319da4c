"""DESI_LOGLEVEL says how much is logged."""

import pytest

from outcrop import InputError
from outcrop._log_level import log_level


@pytest.mark.parametrize(
    ("level", "expected"), [(None, "INFO"), ("debug", "DEBUG"), ("Warning", "WARNING")]
)
def test_the_level_is_that_of_the_environment(
    level: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if level is None:
        monkeypatch.delenv("DESI_LOGLEVEL", raising=False)
    else:
        monkeypatch.setenv("DESI_LOGLEVEL", level)
    assert log_level() == expected


def test_another_level_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESI_LOGLEVEL", "loud")
    with pytest.raises(InputError, match="'loud'; expected one of debug, info, warning"):
        log_level()
