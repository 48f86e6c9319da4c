"""Work: a bounded number of requests in work, each in a thread, each with a deadline.

A request takes a slot when its body is complete. The slot is free again when its thread is done,
not when its client has stopped waiting: a thread cannot be stopped, and a slot freed early would
let more threads pile up than the machine can carry.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .errors import ClientDisconnected, Problem

T = TypeVar("T")
_log = logging.getLogger("service")


class Work:
    """Threads that score or explain, and the queue in front of them.

    Parameters
    ----------
    threads : int
        Requests in work at one time.
    waiting : int
        Further requests that may wait for a thread.

    Attributes
    ----------
    slots : int
        Requests that may be in work or waiting.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="work")
        self.slots = threads + waiting
        self._taken = 0

    @property
    def taken(self) -> int:
        """Requests in work or waiting for it."""
        return self._taken

    async def run(
        self,
        job: Callable[[], T],
        *,
        deadline: float,
        disconnected: Awaitable[object],
        done: Callable[[], None],
    ) -> T:
        """Run a job in a thread and return its result.

        Parameters
        ----------
        job : callable
        deadline : float
            On the clock of `time.monotonic`.
        disconnected : awaitable
            Completes when the client has disconnected; cancelled here.
        done : callable
            Called once, in the event loop, when the job is over or will never start.

        Raises
        ------
        Problem
            429 where all slots are taken, 504 where the deadline passed.
        ClientDisconnected
        """
        disconnect = asyncio.ensure_future(disconnected)
        try:
            self._take_slot(done)
            result = self._submit(job, deadline, done)
            try:
                return await _first(result, disconnect, deadline)
            finally:
                result.cancel()
        finally:
            disconnect.cancel()

    def _take_slot(self, done: Callable[[], None]) -> None:
        if self._taken >= self.slots:
            done()
            raise Problem(
                429,
                f"{self._taken} requests are in work or waiting, as many as this server takes; "
                "try again later",
                reason="busy",
                headers={"Retry-After": "1"},
            )
        self._taken += 1

    def _submit(
        self, job: Callable[[], T], deadline: float, done: Callable[[], None]
    ) -> asyncio.Future[T]:
        """Return the future of a job's result; once it is cancelled, the job is not started."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def start() -> T:
            if result.cancelled() or time.monotonic() >= deadline:
                raise _deadline_passed()
            return job()

        def finish(future: Future[T]) -> None:
            loop.call_soon_threadsafe(settle, future)

        def settle(future: Future[T]) -> None:
            self._taken -= 1
            done()
            _pass_on(future, result)

        self._pool.submit(start).add_done_callback(finish)
        return result

    def close(self) -> None:
        """Wait for the jobs in work, and for those that wait for a thread."""
        self._pool.shutdown(wait=True)


async def _first(
    result: asyncio.Future[T], disconnect: asyncio.Future[object], deadline: float
) -> T:
    """Return the result, unless the client disconnects or the deadline passes before."""
    timeout = max(deadline - time.monotonic(), 0.0)
    await asyncio.wait({result, disconnect}, timeout=timeout, return_when="FIRST_COMPLETED")
    if result.done():
        return result.result()
    if disconnect.done():
        raise ClientDisconnected
    raise _deadline_passed()


def _pass_on(future: Future[T], result: asyncio.Future[T]) -> None:
    """Settle the result as the thread's future was; log an error that no request waits for."""
    error = future.exception()
    if result.cancelled():
        if error is not None and not isinstance(error, Problem):
            _log.error("a job failed after its request had ended", exc_info=error)
    elif error is None:
        result.set_result(future.result())
    else:
        result.set_exception(error)


def _deadline_passed() -> Problem:
    return Problem(
        504,
        "the deadline passed before the spectra were scored or explained; send fewer spectra at a "
        "time, or try again later",
        reason="deadline",
    )
