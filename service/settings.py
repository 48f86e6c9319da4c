"""Settings: everything an operator can choose, read once at start-up from OUTCROP_* variables.

``python -m service.settings`` prints this table as docs/settings.md.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

_PREFIX = "OUTCROP_"
_MIB = 2**20


class SettingsError(ValueError):
    """The settings do not allow a start; the message says what to set."""


class Settings(BaseSettings):
    """What the service reads from its environment."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    model: str = Field(
        description="The model to serve: a bundle's folder, or a tag of BentoML's model store "
        "(`name:version`). The service does not start without it."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Threads that one run of the networks, or one search for neighbours, uses. "
        "Default: the CPUs this process may use. Set it to the CPU limit where that is a quota, "
        "as on Kubernetes.",
    )
    max_body_bytes: int = Field(
        default=80 * _MIB, ge=1, description="Largest body of a binary request; beyond it 413."
    )
    max_json_bytes: int = Field(
        default=8 * _MIB, ge=1, description="Largest body of a JSON request; beyond it 413."
    )
    max_spectra: int = Field(
        default=1000, ge=1, description="Most spectra in one request; beyond it 413."
    )
    max_in_work: int = Field(
        default=2,
        ge=1,
        description="Requests scored at the same time, each by a thread of its own. Two keep "
        "the cores busy while one request is read or written.",
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        description="Complete requests that may wait for a thread; beyond it 429 with Retry-After.",
    )
    max_inflight_bytes: int = Field(
        default=640 * _MIB,
        ge=1,
        description="Bytes of request bodies held at one time, those still arriving included; "
        "beyond it 429 with Retry-After.",
    )
    deadline_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Time from a request's first byte to its answer. A body that is not "
        "complete by then is answered 408, a score that is not ready 504.",
    )
    tokens_file: Path | None = Field(
        default=None,
        description="File with one or two bearer tokens, one a line. With it, every request but "
        "those to `/livez`, `/readyz` and `/metrics` needs `Authorization: Bearer TOKEN`. The "
        "file is read again when it changes, so that tokens rotate without a restart: add the "
        "new one, move the clients, remove the old one.",
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Without tokens, requests that arrive at an address other than loopback are "
        "answered 401. 1 lets them in: only where the network itself keeps strangers out.",
    )
    drain_file: Path | None = Field(
        default=None,
        description="While this file exists, `/readyz` answers 503 and everything else goes on: "
        "create it, wait until no new requests come, then stop the service. A Kubernetes "
        "preStop hook does so.",
    )
    canary_seconds: float = Field(
        default=300.0,
        gt=0,
        le=1800,
        allow_inf_nan=False,
        description="Time between two checks of the canary: the bundle's own few spectra, whose "
        "scores are known. The first is at the start, and the service is not ready if it fails.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="INFO logs each request; DEBUG also those to `/livez`, `/readyz` and "
        "`/metrics`.",
    )

    @staticmethod
    def read() -> "Settings":
        """Read the environment.

        Raises
        ------
        SettingsError
            Naming each variable that is missing or wrong, its value and the remedy.
        """
        if not os.environ.get(f"{_PREFIX}MODEL"):
            raise SettingsError(
                "OUTCROP_MODEL is not set; set it to a bundle's folder or to a tag of the model "
                "store, as in OUTCROP_MODEL=demo/model (see `python -m model_store list`)"
            )
        try:
            return Settings()  # pyright: ignore[reportCallIssue] (filled from the environment)
        except ValidationError as error:
            wrong = [
                f"{_PREFIX}{str(e['loc'][0]).upper()} is {str(e['input'])!r}: {e['msg']}"
                for e in error.errors()
            ]
            raise SettingsError("; ".join(wrong)) from error


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int) and value >= _MIB and value % _MIB == 0:
        return f"{value} ({value // _MIB} MiB)"
    return str(value)


def documentation() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "<!-- Written by `python -m service.settings > docs/settings.md`; a test compares. -->",
        "",
        "The service reads these environment variables once, when it starts. A value it cannot",
        "use is named and the service does not start. Host and port are options of",
        "`bentoml serve`: always give `--host`, its default is every address of the machine.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = _default(field.default)
        lines.append(f"| `{_PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")  # noqa: T201 (this is the program's output)
