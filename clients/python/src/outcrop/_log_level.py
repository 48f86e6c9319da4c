"""Log level: how much the commands log, as DESI's own do."""

import os
from typing import Final

from .errors import InputError

_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def log_level() -> str:
    """Return the level that DESI_LOGLEVEL names, in capitals; InputError for another."""
    level = os.environ.get("DESI_LOGLEVEL", "info")
    if level.lower() not in _LEVELS:
        raise InputError(f"DESI_LOGLEVEL is {level!r}; expected one of {', '.join(_LEVELS)}")
    return level.upper()
