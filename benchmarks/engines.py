"""Engines: what a release on MPI, dask or Parsl needs beforehand, and the command of its run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

ROOT: Final = Path(__file__).parents[1]

_CONFIG: Final = """\
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


DASK_WORKERS: Final = {
    "MALLOC_ARENA_MAX": "1",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}
"""Environment of dask's workers, as docs/releases.md advises: tasks run beside the worker's own
thread."""


@contextmanager
def processes(folder: Path, workers: int = 2) -> Generator[str]:
    """Give the name of the executor; processes need nothing beforehand."""
    yield f"processes:{workers}"


@contextmanager
def mpi(folder: Path, workers: int = 2) -> Generator[str]:
    """Give the name of the executor; MPI needs nothing beforehand."""
    yield "mpi"


@contextmanager
def dask(
    folder: Path, workers: int = 2, *options: str, folder_of_code: Path = ROOT
) -> Generator[str]:
    """Start a dask scheduler with its workers; give the name of the executor."""
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
        with started(worker, folder / "worker.log", folder_of_code, DASK_WORKERS):
            yield f"dask:{file}"


@contextmanager
def parsl(folder: Path, workers: int = 2) -> Generator[str]:
    """Write a configuration of Parsl; give the name of the executor."""
    path = folder / "local.py"
    path.write_text(_CONFIG.format(workers=workers, folder=folder / "parsl"))
    yield f"parsl:{path}"


ENGINES: Final = {"processes": processes, "mpi": mpi, "dask": dask, "parsl": parsl}


def run_command(executor: str, *arguments: str | Path, workers: int = 2) -> list[str]:
    """Return the command of a run, as a user types it."""
    command = ["-m", "release", "run", *map(str, arguments), "--executor", executor]
    if executor == "mpi":
        ranks = ["mpiexec", "-n", str(workers + 1)]
        return [*ranks, sys.executable, "-m", "mpi4py.futures", *command]
    return [sys.executable, *command]


@contextmanager
def started(
    command: Sequence[str | Path],
    log: Path,
    folder: Path = ROOT,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Generator[subprocess.Popen[bytes]]:
    """Start a process in a folder, with the code there; end it with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **environment},
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


def wait_for(condition: Callable[[], bool], seconds: float = 200, pause: float = 0.1) -> None:
    """Wait until a function returns something true; TimeoutError where it does not."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(pause)
