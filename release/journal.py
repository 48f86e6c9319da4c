"""Journal: what happened to each petal of a release, kept on disk while it runs.

Every process appends lines of JSON to a file of its own, below ``run/journal`` of the release's
folder, so that processes on many nodes need no lock. A petal is marked as begun before it is read:
one that is begun and never ended has killed its process, or was in progress when that was killed.
A line is one write. A killed process leaves at most one incomplete line, which is not read.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

BEGUN: Final = "begun"
SCORED: Final = "scored"
CURRENT: Final = "current"
FAILED: Final = "failed"
SET_APART: Final = "set apart"
AGAIN: Final = "again"
RUN: Final = "run"
STATES: Final = (BEGUN, SCORED, CURRENT, FAILED, SET_APART, AGAIN, RUN)
"""What a line says: of a petal, that it is begun, has been scored, has a current table, cannot be
scored, is set apart, or shall be tried again; or that a run begins."""

LOCK: Final = "run"
"""Work that the release's folder is locked for."""
PLAN: Final = "run/plan.ecsv"
"""The last run's plan, below the release's folder."""
ENDED: Final = "run/ended"
"""A file that is there once a run has ended by itself, whatever its result."""

_FOLDER: Final = "run/journal"


def own_name() -> str:
    """Return the name of this process in the journal: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class Event:
    """A line of the journal.

    Attributes
    ----------
    state : str
        One of `STATES`.
    petal : str
        Path of the coadd in the plan; empty for a run.
    spectra, flagged, eligible : int
        Rows of the table, those with the flag ANOMALY, and those that may have it.
    seconds : float
        That scoring took, reading and writing included.
    memory : int
        Most memory that its process has had, MB; 0 where that is unknown.
    message : str
        Why it failed or is set apart; or what runs.
    window : int
        Petals that a run submits at a time.
    process : str
        Host and process id.
    time : float
        Seconds since 1970.
    """

    state: str
    petal: str = ""
    spectra: int = 0
    flagged: int = 0
    eligible: int = 0
    seconds: float = 0.0
    memory: int = 0
    message: str = ""
    window: int = 0
    process: str = field(default_factory=own_name)
    time: float = field(default_factory=time.time)


_FIELDS: Final = tuple(each.name for each in fields(Event))


class Journal:
    """The journal of a release, open for this process to write.

    Parameters
    ----------
    output : Path
        The release's folder.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output / _FOLDER
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._path = self.folder / name

    def write(self, event: Event) -> None:
        """Append an event; OSError where that is not possible."""
        line = json.dumps(asdict(event)).encode() + b"\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if os.write(file, line) < len(line):
                raise OSError(f"{self._path}: only a part of a line was written")
        finally:
            os.close(file)


@dataclass
class Record:
    """What the journal says of a petal.

    Attributes
    ----------
    last : Event
    begun : int
        How often it has been begun since it last ended.
    window : int
        Of the run that last began it.
    """

    last: Event
    begun: int = 0
    window: int = 0


def read_events(output: Path) -> list[Event]:
    """Read the journal of a release's folder; the events of all processes in order of time."""
    return sorted(_events(output / _FOLDER), key=lambda event: event.time)


def read_records(events: list[Event]) -> Mapping[str, Record]:
    """Return what events say of each petal, by the path of its coadd."""
    records: dict[str, Record] = {}
    window = 0
    for event in events:
        if event.state == RUN:
            window = event.window
        if event.petal:
            record = records.setdefault(event.petal, Record(event))
            record.last = event
            if event.state == BEGUN:
                record.begun += 1
                record.window = window
            elif event.state != SET_APART:
                record.begun = 0
    return records


def _events(folder: Path) -> Iterator[Event]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            event = _event(line)
            if event is not None:
                yield event


def _event(line: bytes) -> Event | None:
    """Return the event of a line; None where the line is incomplete."""
    try:
        values: Any = json.loads(line)
        # Another version may keep more of an event.
        event = Event(**{name: values[name] for name in _FIELDS if name in values})
    except (ValueError, TypeError):
        return None
    return event if event.state in STATES else None
