"""Killed processes: a worker, a worker again and again, and the run itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psutil
import pytest

from outcrop import Petal
from outcrop.plan import Plan
from release.journal import BEGUN, ENDED, SCORED, Record, read_events, read_records
from release.petal import ScoringOptions
from release.run import Totals
from tests.conftest import ROOT
from tests.release.conftest import TILE, content, plan_of, tables

pytestmark = pytest.mark.long

Command = Callable[..., CompletedProcess[str]]
LARGE = f"{TILE}/coadd-9-80613-thru20210324.fits"


@pytest.fixture
def large_plan(plan: Plan, petal: Petal, tmp_path: Path) -> Path:
    """A plan with one petal more, whose flagged spectra take seconds to explain."""
    root = Path(plan.root)
    (root / LARGE).symlink_to(petal.coadd)
    (root / LARGE.replace("coadd-", "redrock-")).symlink_to(petal.redrock)
    path = tmp_path / "plan.ecsv"
    plan_of(root).write(path)
    return path


@pytest.fixture
def start(bundle: Path, large_plan: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that starts a run of the plan with two processes, and whose runs are ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        given = ("run", large_plan, "--output", tmp_path / "out", "--model", bundle, "--explain")
        process = subprocess.Popen(
            [sys.executable, "-m", "release", *given, "--executor", "processes:2", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def records(output: Path) -> dict[str, Record]:
    return dict(read_records(read_events(output)))


def wait_for(found: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    """What is found, once there is something."""
    end = time.monotonic() + 200
    while not (value := found()):
        assert time.monotonic() < end, "waited too long"
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    return value


def worker_of(output: Path, petal: str, but: Container[int] = ()) -> int | None:
    """Process that is scoring a petal, if it is none of some."""
    record = records(output).get(petal)
    if record is None or record.last.state != BEGUN:
        return None
    worker = int(record.last.process.rpartition(":")[2])
    return None if worker in but else worker


def test_a_petal_that_ends_three_processes_is_set_apart_and_the_others_are_scored(
    start: Callable[..., subprocess.Popen[str]], command: Command, tmp_path: Path
) -> None:
    output, process, killed = tmp_path / "out", start(), set[int]()
    for _ in range(3):
        worker = wait_for(lambda: worker_of(output, LARGE, killed), process)
        killed.add(worker)
        os.kill(worker, signal.SIGKILL)

    out, err = process.communicate(timeout=200)
    assert process.returncode == 1, err
    assert "7 petals: 6 scored, 6 of them now; 0 failed, 1 set apart, 0 waiting" in out
    assert f"{LARGE} is set apart: 3 processes have ended in its midst" in err
    assert "Traceback" not in err
    before = tables(output)
    assert len(before) == 6

    status = command("-m", "release", "status", output)
    assert status.returncode == 1
    assert "set apart           1" in status.stdout
    assert f"set apart: {LARGE}: 3 processes have ended in its midst" in status.stderr

    again = start("--again")
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert "7 petals: 7 scored, 1 of them now; 0 failed, 0 set apart, 0 waiting" in out
    assert tables(output).items() > before.items()


def test_a_run_that_is_killed_goes_on_and_scores_nothing_twice(
    start: Callable[..., subprocess.Popen[str]],
    score: Callable[..., Totals],
    large_plan: Path,
    options: ScoringOptions,
    command: Command,
    tmp_path: Path,
) -> None:
    output, process = tmp_path / "out", start()

    def scored() -> list[str]:
        return [n for n, record in records(output).items() if record.last.state == SCORED]

    wait_for(lambda: len(scored()) >= 2, process)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    # None of its processes is left.
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert not (output / ENDED).exists()
    before = tables(output)
    assert 2 <= len(before) < 7
    status = command("-m", "release", "status", output)
    assert status.returncode == 1
    assert "no run is going on" in status.stdout

    again = start()
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert f"7 petals: 7 scored, {7 - len(before)} of them now" in out
    assert tables(output).items() > before.items()
    assert list(output.rglob(".*.tmp")) == []

    # Processes and threads make the same tables, and so do one and two of them.
    one = tmp_path / "one"
    score(Plan.read(large_plan), one, replace(options, explained=True))
    assert tables(one).keys() == tables(output).keys()
    for name in tables(one):
        assert content(one / name) == content(output / name)


def test_a_second_run_on_a_folder_is_refused(
    start: Callable[..., subprocess.Popen[str]], command: Command, tmp_path: Path
) -> None:
    output, first = tmp_path / "out", start()
    wait_for(lambda: worker_of(output, LARGE), first)
    # So that it does not end before the second one begins.
    workers = psutil.Process(first.pid).children(recursive=True)
    for worker in workers:
        worker.suspend()
    second = start()
    _, err = second.communicate(timeout=200)
    assert second.returncode == 75
    assert f"another run works on {output}: process {first.pid} on " in err

    status = command("-m", "release", "status", output)
    assert f"runs in process {first.pid} on " in status.stdout
    assert "in progress" in status.stdout

    first.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.resume()
    out, err = first.communicate(timeout=200)
    assert first.returncode == 128 + signal.SIGTERM, err
    assert "finishing the petals in progress" in err
    assert err.endswith("outcrop: interrupted\n")
    counted = sum(record.last.state == SCORED for record in records(output).values())
    assert f"7 petals: {counted} scored, {counted} of them now" in out
    assert len(tables(output)) == counted
