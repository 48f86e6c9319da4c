"""Logs: JSON lines on standard output."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any

# BentoML's and uvicorn's loggers share handlers; those of this one serve all of them.
_FRAMEWORK = "bentoml"
# Their lines go to the handlers of the root too, which are the same ones.
_REPEATED = ("circus", "uvicorn.error")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the record's ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Log everything as JSON: our own lines from this level on, the framework's, and failures."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("service")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
    for other in logging.getLogger(_FRAMEWORK).handlers:
        other.setFormatter(JsonFormatter())
    for name in _REPEATED:
        logging.getLogger(name).propagate = False

    logging.captureWarnings(True)
    sys.excepthook = _log_exception
    threading.excepthook = lambda failed: _log_exception(*failed[:3])


def _log_exception(*error: Any) -> None:
    logging.getLogger("service").critical("failed", exc_info=error)
