"""Runs of a release for the tests of its engines, and what they leave."""

import os
import re
import signal
import subprocess
from pathlib import Path

from benchmarks.engines import ROOT, run_command, wait_for
from release.journal import BEGUN, Event, read_events

# Of a header: the checksum, which counts the dates, and the dates.
_DATES = re.compile(rb"CHECKSUM=.{71}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def run(executor: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a release to its end."""
    return subprocess.run(
        run_command(executor, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def kill_one(output: Path) -> str:
    """Kill a process in the midst of a petal; return the petal."""
    found: list[Event] = []

    def killed() -> bool:
        for event in in_progress(output):
            pid = int(event.process.rpartition(":")[2])
            # It may end the petal before it is looked at again.
            os.kill(pid, signal.SIGSTOP)
            if event in in_progress(output):
                os.kill(pid, signal.SIGKILL)
                found.append(event)
                return True
            os.kill(pid, signal.SIGCONT)
        return False

    wait_for(killed, pause=0.005)
    return found[0].petal


def in_progress(output: Path) -> list[Event]:
    """The last event of each petal that is begun and has not ended."""
    last = {event.petal: event for event in read_events(output)}
    return [event for event in last.values() if event.state == BEGUN]


def tables(output: Path) -> dict[str, bytes]:
    """The tables of a release, without their dates, by their paths."""
    paths = sorted(output.rglob("outliers-*.fits"))
    return {
        path.relative_to(output).as_posix(): _DATES.sub(b"", path.read_bytes()) for path in paths
    }
