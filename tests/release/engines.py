"""Engines for the tests: what a user starts before a run, and how the run is started."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from release.journal import BEGUN, Event, read_events

ROOT = Path(__file__).parents[2]
# Of a header: the checksum, which counts the dates, and the dates.
_DATES = re.compile(rb"CHECKSUM=.{71}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")

PARSL = """
from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

workers = HighThroughputExecutor(
    address="127.0.0.1",
    max_workers_per_node={workers},
    heartbeat_period=1,
    heartbeat_threshold=10,
    provider=LocalProvider(init_blocks=1, max_blocks=1),
)
config = Config(executors=[workers], run_dir="{folder}", strategy_period=0.2)
"""


@contextmanager
def started(
    command: Sequence[str | Path], log: Path, folder: Path = ROOT
) -> Generator[subprocess.Popen[bytes]]:
    """Start a process in a folder, with the code there; end it with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def dask(
    folder: Path, workers: int = 2, *options: str, folder_of_code: Path = ROOT
) -> Generator[str]:
    """A dask scheduler with its workers; gives the name of the executor."""
    file = folder / "scheduler.json"
    common = ("--scheduler-file", file, "--host", "127.0.0.1", "--no-dashboard")
    dask = (sys.executable, "-m", "dask")
    scheduler = (*dask, "scheduler", "--port", "0", *common)
    worker = (
        *(*dask, "worker", "--nthreads", "1", "--nworkers", str(workers)),
        *("--local-directory", folder, *common, *options),
    )
    with started(scheduler, folder / "scheduler.log", folder_of_code):
        wait_for(file.exists)
        with started(worker, folder / "worker.log", folder_of_code):
            yield f"dask:{file}"


@contextmanager
def parsl(folder: Path, workers: int = 2) -> Generator[str]:
    """A configuration of Parsl; gives the name of the executor."""
    path = folder / "local.py"
    path.write_text(PARSL.format(workers=workers, folder=folder / "parsl"))
    yield f"parsl:{path}"


@contextmanager
def mpi(folder: Path) -> Generator[str]:
    """MPI, which needs nothing beforehand; gives the name of the executor."""
    yield "mpi"


ENGINES = {"mpi": mpi, "dask": dask, "parsl": parsl}


def run_command(executor: str, *arguments: str | Path, workers: int = 2) -> list[str]:
    """Return the command of a run, as a user types it."""
    command = [sys.executable, "-m", "release", "run", *map(str, arguments)]
    if executor == "mpi":
        first = ["mpiexec", "-n", str(workers + 1), sys.executable, "-m", "mpi4py.futures"]
        command = [*first, *command[1:]]
    return [*command, "--executor", executor]


def run(executor: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a release to its end."""
    return subprocess.run(
        run_command(executor, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def kill_one(output: Path) -> str:
    """Kill a process in the midst of a petal; return the petal."""
    found: list[Event] = []

    def stopped() -> bool:
        for event in in_progress(output):
            pid = int(event.process.rpartition(":")[2])
            os.kill(pid, signal.SIGSTOP)
            if event in in_progress(output):
                os.kill(pid, signal.SIGKILL)
                found.append(event)
                return True
            os.kill(pid, signal.SIGCONT)
        return False

    wait_for(stopped, pause=0.005)
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


def wait_for(condition: Callable[[], bool], seconds: float = 200, pause: float = 0.1) -> None:
    """Wait until a function returns something true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(pause)
