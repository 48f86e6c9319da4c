"""The slots for work are limited, and free again only when their threads are done."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.http.errors import ClientDisconnected, Problem
from service.http.work import Work


async def never() -> None:
    await asyncio.Event().wait()


def run(
    work: Work,
    job: Callable[[], Any],
    *,
    deadline: float | None = None,
    disconnected: Awaitable[object] | None = None,
    done: Callable[[], None] = lambda: None,
) -> Awaitable[Any]:
    return work.run(
        job,
        deadline=time.monotonic() + 60 if deadline is None else deadline,
        disconnected=disconnected or never(),
        done=done,
    )


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_result_is_returned_and_its_slot_is_free() -> None:
    async def scenario() -> None:
        work = Work(1, 0)
        over: list[bool] = []
        assert await run(work, lambda: 6 * 7, done=lambda: over.append(True)) == 42
        assert (work.taken, over) == (0, [True])
        with pytest.raises(ZeroDivisionError):
            await run(work, lambda: 1 / 0)
        assert work.taken == 0

    asyncio.run(scenario())


def test_a_timed_out_job_keeps_its_slot_until_its_thread_is_done() -> None:
    async def scenario() -> None:
        work = Work(1, 0)
        hold = threading.Event()
        over: list[bool] = []
        with pytest.raises(Problem) as raised:
            await run(
                work, hold.wait, deadline=time.monotonic() + 0.05, done=lambda: over.append(True)
            )
        assert raised.value.status == 504
        assert (work.taken, over) == (1, [])
        with pytest.raises(Problem) as rejected:
            await run(work, lambda: None)
        assert rejected.value.status == 429
        hold.set()
        await until(lambda: work.taken == 0)
        assert over == [True]
        assert await run(work, lambda: "next") == "next"

    asyncio.run(scenario())


def test_beyond_threads_and_queue_a_request_is_rejected_with_retry_after() -> None:
    async def scenario() -> None:
        work = Work(1, 1)
        hold = threading.Event()
        first, second = (asyncio.ensure_future(run(work, hold.wait)) for _ in range(2))
        await until(lambda: work.taken == 2)
        over: list[bool] = []
        with pytest.raises(Problem) as rejected:
            await run(work, lambda: None, done=lambda: over.append(True))
        assert rejected.value.status == 429
        assert int(rejected.value.headers["Retry-After"]) >= 1
        assert over == [True]
        hold.set()
        assert await first
        assert await second

    asyncio.run(scenario())


def test_a_job_that_waited_too_long_is_never_started() -> None:
    async def scenario() -> None:
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

    asyncio.run(scenario())


def test_a_waiting_job_whose_client_disconnected_is_never_started() -> None:
    async def scenario() -> None:
        work = Work(1, 1)
        hold = threading.Event()
        started: list[bool] = []
        first = asyncio.ensure_future(run(work, hold.wait))
        await until(lambda: work.taken == 1)
        with pytest.raises(ClientDisconnected):
            await run(work, lambda: started.append(True), disconnected=asyncio.sleep(0.01))
        assert work.taken == 2
        hold.set()
        await first
        await until(lambda: work.taken == 0)
        assert started == []

    asyncio.run(scenario())
