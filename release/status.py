"""Status: how far a release is, from its journal; also while it runs."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from tqdm import tqdm

from outcrop import InputError
from outcrop.night.folder_lock import find_holder
from outcrop.plan import Plan

from .journal import (
    BEGUN,
    CURRENT,
    FAILED,
    LOCK,
    PLAN,
    RUN,
    SCORED,
    SET_APART,
    read_events,
    read_records,
)

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_SHOWN: Final = 20  # failures, unless all are asked for
_EXAMPLE: Final = """example:
  python -m release status outliers

Exit status: 0 where every petal of the plan is scored, else 1.
"""


def show_failures(failures: Mapping[str, Mapping[str, str]], most: int = _SHOWN) -> None:
    """Print failures to stderr.

    Parameters
    ----------
    failures : mapping of str to mapping of str to str
        By state, why each petal is in it.
    most : int
        Of each state.
    """
    for state, reasons in failures.items():
        for name in sorted(reasons)[:most]:
            print(f"{state}: {name}: {reasons[name]}", file=sys.stderr)
        if len(reasons) > most:
            print(
                f"{state}: {len(reasons) - most} more; `release status --all` lists them",
                file=sys.stderr,
            )


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
    status.add_argument("--all", action="store_true", help="list every failure")
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    # First, so that a run that ends meanwhile is not taken for one that was killed.
    holder = find_holder(options.output, LOCK)
    events = read_events(options.output)
    runs = [event for event in events if event.state == RUN]
    if not runs:
        raise InputError(f"{options.output} has no journal of a release; name a run's --output")

    plan = Plan.read(options.output / PLAN)
    planned = {petal.coadd for petal in plan.petals}
    records = {n: record for n, record in read_records(events).items() if n in planned}
    states = Counter(record.last.state for record in records.values())
    done = [r.last for r in records.values() if r.last.state in (SCORED, CURRENT)]
    waiting = len(planned) - len(done) - states[FAILED] - states[SET_APART] - states[BEGUN]

    print(f"{runs[-1].message}; " + (f"runs in {holder}" if holder else "no run is going on"))
    for state, count in (
        (SCORED, f"{len(done):9,}  {sum(event.spectra for event in done):,} spectra"),
        (FAILED, f"{states[FAILED]:9,}"),
        (SET_APART, f"{states[SET_APART]:9,}"),
        ("in progress" if holder else "cut off", f"{states[BEGUN]:9,}"),
        ("waiting", f"{waiting:9,}"),
    ):
        print(f"  {state:<12}{count}")

    begun = runs[-1].time
    scored = [event for event in done if event.state == SCORED and event.time >= begun]
    elapsed = (time.time() if holder else events[-1].time) - begun
    if scored and elapsed > 0:
        rate = sum(event.spectra for event in scored) / elapsed
        memory = max(event.memory for event in scored)
        text = f"last run: {tqdm.format_interval(elapsed)}, {rate:,.0f} spectra/s, "
        text += f"up to {memory:,} MB a process"
        if holder:
            left = elapsed * (waiting + states[BEGUN]) / len(scored)
            text += f", {tqdm.format_interval(left)} left"
        print(text)

    show_failures(
        {
            state: {n: r.last.message for n, r in records.items() if r.last.state == state}
            for state in (FAILED, SET_APART)
        },
        len(planned) if options.all else _SHOWN,
    )
    return 0 if len(done) == len(planned) else 1
