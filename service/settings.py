"""Settings: all options of the service, read once at start-up from OUTCROP_* variables.

``python -m service.settings`` prints this table as docs/settings.md.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_PREFIX = "OUTCROP_"
_MIB = 2**20


class SettingsError(ValueError):
    """The service cannot start with these settings; the message says what to set."""


class Settings(BaseSettings):
    """The settings, as fields; each is read from OUTCROP_ and its name in capitals."""

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
        description="Threads of one run of the networks, or of one search for neighbours. "
        "Default: the CPUs this process may use. Set it to the CPU limit where that is a quota, "
        "as on Kubernetes.",
    )
    max_body_bytes: int = Field(
        default=80 * _MIB, ge=1, description="Maximum size of a binary body; beyond it 413."
    )
    max_json_bytes: int = Field(
        default=8 * _MIB, ge=1, description="Maximum size of a JSON body; beyond it 413."
    )
    max_spectra: int = Field(
        default=1000, ge=1, description="Maximum number of spectra in one request; beyond it 413."
    )
    max_explained: int = Field(
        default=100,
        ge=1,
        description="Maximum number of spectra in one request to explain; beyond it 413. One takes "
        "up to 80 ms, so that as many must fit into the deadline.",
    )
    max_in_work: int = Field(
        default=2,
        ge=1,
        description="Requests scored at the same time, each by a thread of its own, and as many "
        "explained. Two keep the cores busy while one request is read or written.",
    )
    max_waiting: int = Field(
        default=64,
        ge=0,
        description="Complete requests to score that may wait for a thread, and as many to "
        "explain; beyond it 429 with Retry-After.",
    )
    max_inflight_bytes: int = Field(
        default=640 * _MIB,
        ge=1,
        description="Maximum size of all request bodies and responses in memory, including those "
        "that are still arriving or being sent; beyond it 429 with Retry-After.",
    )
    deadline_seconds: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Time from a request's head to the first byte of its response. If its body is "
        "not complete by then, the response is 408; if its scores are not ready, 504. The service "
        "ends at most 10 s later than this time after SIGTERM.",
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
        "answered 401. Set 1 to accept them, only where the network itself rejects requests from "
        "outside.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Without tokens, requests whose header `Host` is not an IP address, "
        "`localhost`, the machine's own name or one of these names, separated by commas, are "
        "answered 403, so that no web page can reach the service through a browser (DNS "
        "rebinding). On Kubernetes, the names of the Service.",
    )
    labels_file: Path | None = Field(
        default=None,
        description="CSV file with the columns TARGETID and LABEL: what training spectra are, for "
        "the neighbours in explanations. It is read once.",
    )
    drain_file: Path | None = Field(
        default=None,
        description="While this file exists, `/readyz` responds 503 and all other routes work as "
        "before: create it, wait until no new requests arrive, then stop the service. A "
        "Kubernetes preStop hook does so.",
    )
    canary_seconds: float = Field(
        default=300.0,
        gt=0,
        le=1800,
        allow_inf_nan=False,
        description="Interval between two checks of the canary: the bundle's own few spectra, with "
        "known scores. The first is at the start; the service is not ready if it fails.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="INFO logs each request; DEBUG also those to `/livez`, `/readyz` and "
        "`/metrics`.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = [name.strip().lower() for name in value.split(",") if name.strip()]
        for name in names:
            if not re.fullmatch(r"[a-z0-9._-]+", name):
                raise ValueError(
                    f"{name} is no host name; write names only, without scheme or port"
                )
        return names

    @staticmethod
    def read() -> "Settings":
        """Read the environment.

        Raises
        ------
        SettingsError
            Names each variable that is missing or wrong, its value and the remedy.
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
    if value is None or value == ():
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
        "The service reads these environment variables once, when it starts. With a wrong value",
        "it does not start, and the message names the variable. Host and port are options of",
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
