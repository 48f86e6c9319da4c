"""Executors: the engines that a release runs on, each as a `concurrent.futures.Executor`."""

import contextlib
import importlib
import logging
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from outcrop import InputError

P = ParamSpec("P")
T = TypeVar("T")

ONE_THREAD: Final = {
    name: "1"
    for name in (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"),
    )
}
"""Environment of a process that scores: one thread, so that sums have one order."""

NAMES: Final = "processes[:N], mpi, dask:ADDRESS or parsl:MODULE"
"""Of the executors, for messages."""

_ROOT: Final = Path(__file__).resolve().parents[1]
_MPI_COMMAND: Final = "mpiexec -n 3 python -m mpi4py.futures -m release run ... --executor mpi"
_ANSWER: Final = 20  # s, in which a dask scheduler answers
_PATIENCE: Final = 60  # s, for its first worker
_GOODBYE: Final = 5  # s, for it to be told that the run ends


@dataclass(frozen=True)
class Engine:
    """An executor, and how many petals it can score at a time.

    Attributes
    ----------
    executor : concurrent.futures.Executor
    workers : int
    """

    executor: Executor
    workers: int


@contextmanager
def open_engine(name: str) -> Generator[Engine]:
    """Start the engine of a name, and end it afterwards.

    Parameters
    ----------
    name : str
        - ``processes`` or ``processes:N``: N processes on this machine, by default one for each
          core that this process may use.
        - ``mpi``: the other ranks of a job that was started with ``-m mpi4py.futures``.
        - ``dask:ADDRESS``: the workers of a dask scheduler, given its address or its scheduler
          file, ``*.json``. Scheduler and workers need this folder in their PYTHONPATH.
        - ``parsl:MODULE``: workers as the `parsl.Config` says that a module, or a file ``*.py``,
          defines as ``config``.

    Raises
    ------
    InputError
        Where there is no such engine, its package is missing, or it cannot be reached or used.
    """
    kind, _, argument = name.partition(":")
    if kind not in _ENGINES or (kind in ("dask", "parsl") and not argument):
        raise InputError(f"there is no executor {name!r}; choose {NAMES}")
    # Processes that are started from here inherit it, and read it where numpy is imported.
    os.environ |= ONE_THREAD
    with _ENGINES[kind](argument) as engine:
        yield engine


@contextmanager
def _processes(argument: str) -> Generator[Engine]:
    workers = _count(argument) if argument else len(os.sched_getaffinity(0))
    with ProcessPool(workers) as executor:
        yield Engine(executor, workers)


class ProcessPool(Executor):
    """Processes on this machine; where one is killed, they are replaced.

    The futures of a pool of which a process is killed raise BrokenProcessPool, and the next submit
    starts a new pool. The processes are spawned, not forked: they share no locks or threads.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = self._start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call, to a new pool where the present one is broken."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenProcessPool:
            self._pool.shutdown()
            self._pool = self._start()
            return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _start(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, spawn, initializer=_begin)


def _begin() -> None:
    """Leave Ctrl-C to the run, and end with it, even where it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: Any = multiprocessing.parent_process()

    def end_with_run() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_run, daemon=True).start()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{text!r} is no number of processes; give 1 or more, as processes:4")
    return int(text)


@contextmanager
def _mpi(argument: str) -> Generator[Engine]:
    """Use the ranks of an MPI job but the first, in which this runs."""
    if argument:
        raise InputError(f"executor mpi:{argument}: mpiexec has the number, as {_MPI_COMMAND}")
    # Started without it, every rank would be a run of its own.
    if "mpi4py.futures" not in sys.orig_argv:
        raise InputError(f"executor mpi: start it by {_MPI_COMMAND}")
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPIPoolExecutor
    except ImportError as error:
        raise _missing("mpi", error) from error
    except RuntimeError as error:
        raise InputError(
            f"executor mpi: {str(error).splitlines()[0]}; load the module of this machine's MPI"
        ) from error
    if MPI.COMM_WORLD.Get_size() < 2:
        raise InputError(
            "executor mpi: there is one rank, and the first only submits; start more of them by "
            f"{_MPI_COMMAND}, with the mpiexec of {MPI.get_vendor()[0]}, which mpi4py has loaded"
        )

    # main=False: ranks do not import the module that is run.
    with MPIPoolExecutor(main=False, env=ONE_THREAD) as executor:
        yield Engine(executor, executor.num_workers)


@contextmanager
def _dask(argument: str) -> Generator[Engine]:
    """Use the workers of a dask scheduler that runs."""
    try:
        from distributed import Client
    except ImportError as error:
        raise _missing("dask", error) from error
    name = f"executor dask:{argument}"
    place: dict[str, Any]
    if not argument.endswith(".json"):
        place = {"address": argument}
    elif Path(argument).is_file():
        place = {"scheduler_file": argument}
    else:
        raise InputError(f"{name}: the file is not there; a scheduler writes it at its start")

    try:
        client = Client(**place, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError, MemoryError) as error:
        # A MemoryError where another kind of server answers.
        raise InputError(f"{name}: no scheduler answers there: {error}") from error
    try:
        yield Engine(DaskExecutor(client), _dask_workers(client, name))
    finally:
        # It is closed already where the scheduler is lost.
        with contextlib.suppress(TimeoutError):
            client.close(timeout=_GOODBYE)


class DaskExecutor(Executor):
    """The workers of a dask scheduler; broken once the connection to that is lost.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call; BrokenExecutor where the scheduler is lost, with all that is in progress.

        The client itself would take calls, and never end them.
        """
        if self._client.status != "running":
            raise BrokenExecutor("the connection to dask's scheduler is lost")
        return self._executor.submit(fn, *args, **kwargs)


def _dask_workers(client: Any, name: str) -> int:
    """Return the number of workers; InputError where one of them cannot score."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
    except TimeoutError as error:
        raise InputError(f"{name} has no worker; start them with `dask worker`") from error

    for worker, threads in client.nthreads().items():
        if threads != 1:
            raise InputError(
                f"{name}: the worker {worker} has {threads} threads; start it with --nthreads 1"
            )
    for worker, threads in client.run(os.getenv, "OMP_NUM_THREADS").items():
        if threads != "1":
            raise InputError(f"{name}: start the worker {worker} with OMP_NUM_THREADS=1")

    # Unpickled by value: it is not imported itself.
    def find_problem() -> str:
        try:
            importlib.import_module("release.petal")
        except ImportError as error:
            return str(error)
        return ""

    # The scheduler unpickles tasks too.
    problems = {"the scheduler": client.run_on_scheduler(find_problem), **client.run(find_problem)}
    for process, problem in problems.items():
        if problem:
            raise InputError(
                f"{name}: {process} cannot import Outcrop: {problem}; start scheduler and workers "
                "in Outcrop's environment, with its folder as PYTHONPATH"
            )
    return len(problems) - 1


@contextmanager
def _parsl(argument: str) -> Generator[Engine]:
    """Use the workers that a configuration of Parsl starts."""
    try:
        from parsl import Config, DataFlowKernel
        from parsl.concurrent import ParslPoolExecutor
    except ImportError as error:
        raise _missing("parsl", error) from error
    try:
        if argument.endswith(".py"):
            variables = runpy.run_path(argument)
        else:
            variables = vars(importlib.import_module(argument))
    except Exception as error:
        raise InputError(f"executor parsl:{argument} cannot be used: {error}") from error
    config = variables.get("config")
    if not isinstance(config, Config):
        raise InputError(f"executor parsl:{argument} defines no parsl.Config named config")

    # It tells every step, which is in the file parsl.log as well.
    logging.getLogger("parsl").propagate = False
    # Workers, here and in batch jobs, inherit it.
    others = filter(None, [os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *others])
    with DataFlowKernel(config) as kernel, ParslPoolExecutor(dfk=kernel) as executor:
        yield Engine(executor, _parsl_workers(kernel.config.executors))


def _parsl_workers(executors: Any) -> int:
    """Return how many workers there may be at a time."""
    workers = 0
    for one in executors:
        provider = getattr(one, "provider", None)
        blocks = provider.nodes_per_block * provider.max_blocks if provider else 1
        workers += int(getattr(one, "workers_per_node", 1) * blocks)
    return workers


def _missing(kind: str, error: ImportError) -> InputError:
    return InputError(
        f"executor {kind}: {error}; install its package from requirements/release.txt"
    )


_ENGINES: Final = {"processes": _processes, "mpi": _mpi, "dask": _dask, "parsl": _parsl}
