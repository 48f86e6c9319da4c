"""Work: a bounded number of requests in work, each in a thread, each with a deadline.

A place is taken when a request is complete and given back when its thread is really done, not
when its client has lost patience: a thread cannot be stopped, and a place given back early would
let more threads pile up than the machine can carry.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .errors import ClientGone, Problem

T = TypeVar("T")
_log = logging.getLogger("service")


class _Abandoned(Exception):  # noqa: N818
    """Nobody waits for this job any more, so that it is not started."""


class Work:
    """Threads that score, and the queue in front of them.

    Parameters
    ----------
    threads : int
        Requests in work at one time.
    waiting : int
        Further requests that may wait for a thread.

    Attributes
    ----------
    places : int
        Requests that may be in work or waiting.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
        self.places = threads + waiting
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
        gone: Awaitable[object],
        done: Callable[[], None],
    ) -> T:
        """Run a job in a thread and return its result.

        Parameters
        ----------
        job : callable
        deadline : float
            On the clock of `time.monotonic`.
        gone : awaitable
            Completes when nobody waits for the answer any more; cancelled here.
        done : callable
            Called once, in the event loop, when the job is over or will never start.

        Raises
        ------
        Problem
            429 where all places are taken, 504 where the deadline passed.
        ClientGone
        """
        watch = asyncio.ensure_future(gone)
        if self._taken >= self.places:
            watch.cancel()
            done()
            raise Problem(
                429,
                f"{self._taken} requests are in work or waiting, as many as this server takes; "
                "try again later",
                reason="busy",
                headers={"Retry-After": "1"},
            )
        self._taken += 1
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def start() -> T:
            # A request that waited too long, or whose client left, costs no more than this.
            if result.cancelled() or time.monotonic() >= deadline:
                raise _Abandoned
            return job()

        def settle(future: Future[T]) -> None:
            self._taken -= 1
            done()
            error = future.exception()
            if not result.cancelled():
                if error is None:
                    result.set_result(future.result())
                else:
                    result.set_exception(error)
            elif error is not None and not isinstance(error, _Abandoned | Problem):
                _log.error("a job failed after its client had left", exc_info=error)

        def finish(future: Future[T]) -> None:
            loop.call_soon_threadsafe(settle, future)

        self._pool.submit(start).add_done_callback(finish)
        try:
            timeout = max(deadline - time.monotonic(), 0.0)
            await asyncio.wait({result, watch}, timeout=timeout, return_when="FIRST_COMPLETED")
            if result.done():
                return result.result()
            if watch.done():
                raise ClientGone
            raise _Abandoned
        except _Abandoned:
            raise Problem(
                504,
                "the deadline passed before the spectra were scored; send fewer spectra at a "
                "time, or try again later",
                reason="deadline",
            ) from None
        finally:
            watch.cancel()
            result.cancel()

    def close(self) -> None:
        """Wait for the jobs in work, and for those that wait for a thread."""
        self._pool.shutdown(wait=True)
