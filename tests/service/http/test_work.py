"""Places in work are bounded, and free only when their threads are."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.http.errors import ClientGone, Problem
from service.http.work import Work


async def never() -> None:
    await asyncio.Event().wait()


def soon() -> float:
    return time.monotonic() + 60


def run(
    work: Work,
    job: Callable[[], Any],
    *,
    deadline: float | None = None,
    gone: Awaitable[object] | None = None,
    done: Callable[[], None] = lambda: None,
) -> Awaitable[Any]:
    return work.run(
        job, deadline=soon() if deadline is None else deadline, gone=gone or never(), done=done
    )


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_result_comes_back_and_its_place_is_free() -> None:
    async def story() -> None:
        work = Work(1, 0)
        over: list[bool] = []
        assert await run(work, lambda: 6 * 7, done=lambda: over.append(True)) == 42
        assert (work.taken, over) == (0, [True])
        with pytest.raises(ZeroDivisionError):
            await run(work, lambda: 1 / 0)
        assert work.taken == 0

    asyncio.run(story())


def test_a_timed_out_job_keeps_its_place_until_its_thread_is_done() -> None:
    async def story() -> None:
        work = Work(1, 0)
        hold = threading.Event()
        over: list[bool] = []
        with pytest.raises(Problem) as raised:
            await run(
                work, hold.wait, deadline=time.monotonic() + 0.05, done=lambda: over.append(True)
            )
        assert raised.value.status == 504
        assert (work.taken, over) == (1, [])
        with pytest.raises(Problem) as refused:
            await run(work, lambda: None)
        assert refused.value.status == 429
        hold.set()
        await until(lambda: work.taken == 0)
        assert over == [True]
        assert await run(work, lambda: "next") == "next"

    asyncio.run(story())


def test_beyond_threads_and_queue_a_request_is_told_to_come_again() -> None:
    async def story() -> None:
        work = Work(1, 1)
        hold = threading.Event()
        first, second = (asyncio.ensure_future(run(work, hold.wait)) for _ in range(2))
        await until(lambda: work.taken == 2)
        over: list[bool] = []
        with pytest.raises(Problem) as refused:
            await run(work, lambda: None, done=lambda: over.append(True))
        assert refused.value.status == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        assert over == [True]
        hold.set()
        assert await first
        assert await second

    asyncio.run(story())


def test_a_job_that_waited_too_long_is_never_started() -> None:
    async def story() -> None:
        work = Work(1, 1)
        hold = threading.Event()
        started: list[bool] = []
        first = asyncio.ensure_future(run(work, hold.wait))
        await until(lambda: work.taken == 1)
        with pytest.raises(Problem) as raised:
            await run(work, lambda: started.append(True), deadline=time.monotonic() + 0.05)
        assert raised.value.status == 504
        hold.set()
        await first
        await until(lambda: work.taken == 0)
        assert started == []

    asyncio.run(story())


def test_a_waiting_job_of_a_client_that_left_is_never_started() -> None:
    async def story() -> None:
        work = Work(1, 1)
        hold = threading.Event()
        started: list[bool] = []
        first = asyncio.ensure_future(run(work, hold.wait))
        await until(lambda: work.taken == 1)
        with pytest.raises(ClientGone):
            await run(work, lambda: started.append(True), gone=asyncio.sleep(0.01))
        assert work.taken == 2
        hold.set()
        await first
        await until(lambda: work.taken == 0)
        assert started == []

    asyncio.run(story())
