"""Status: how far a release is, from its journal; also while it runs."""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import Final, TypeAlias

from outcrop import InputError
from outcrop.night.folder_lock import find_holder

from .journal import BEGUN, CURRENT, FAILED, RUN, SCORED, SET_APART, read_events, read_records

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_EXAMPLE: Final = """example:
  python -m release status outliers

Exit status: 0 where every petal that was begun is scored, else 1.
"""


def add_parser(commands: _Commands) -> None:
    """Add the command ``status``."""
    status = commands.add_parser(
        "status",
        help="counts, rate and failures of a release, also while it runs",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    status.add_argument("output", metavar="DIR", type=Path, help="the release's folder")
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    events = read_events(options.output)
    runs = [event for event in events if event.state == RUN]
    if not runs:
        raise InputError(f"{options.output} has no journal of a release; name a run's --output")
    records = read_records(events)
    counts = Counter(record.last.state for record in records.values())

    holder = find_holder(options.output, "run")
    begun = runs[-1].time
    scored = [event for event in events if event.state == SCORED and event.time >= begun]
    spectra = sum(event.spectra for event in scored)
    end = time.time() if holder else events[-1].time
    rate = spectra / max(end - begun, 1e-3)

    print(f"{runs[-1].message}: " + (f"runs in {holder}" if holder else "not running"))
    print(
        f"{counts[SCORED] + counts[CURRENT]} scored, {counts[FAILED]} failed, "
        f"{counts[SET_APART]} set apart, {counts[BEGUN]} {'in progress' if holder else 'cut off'}"
    )
    print(f"last run: {len(scored)} petals, {spectra} spectra, {rate:.0f} spectra/s")
    for state in (FAILED, SET_APART):
        for name, record in sorted(records.items()):
            if record.last.state == state:
                print(f"  {state}: {name}: {record.last.message}")
    return 1 if counts[FAILED] or counts[SET_APART] or counts[BEGUN] else 0
