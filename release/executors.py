"""Executors: the engines that a release runs on, each as a `concurrent.futures.Executor`."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
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
        ``processes`` or ``processes:N``: N processes on this machine, by default one for each core
        that this process may use.

    Raises
    ------
    InputError
        Where there is no such engine.
    """
    kind, _, argument = name.partition(":")
    if kind != "processes":
        raise InputError(f"there is no executor {name!r}; choose processes or processes:N")
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
        # Read where numpy is imported, so they must be there when a process starts.
        os.environ |= ONE_THREAD
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
