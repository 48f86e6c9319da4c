"""Bodies are read within limits, whatever the client sends and however it sends it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from service.http.body import (
    BINARY,
    JSON,
    MAX_HEADER_BYTES,
    PROGRESS_BYTES,
    PROGRESS_SECONDS,
    Body,
    BodyHeaders,
    BodyLimits,
    parse_headers,
    read,
)
from service.http.budget import Budget
from service.http.errors import ClientDisconnected, Problem

BOTH = (BINARY, JSON)
LIMITS = BodyLimits(json_bytes=1000, binary_bytes=5000)
LENGTH = "Inference-Header-Content-Length"


def parsed(accepts: tuple[str, ...] = BOTH, **headers: str) -> BodyHeaders:
    return parse_headers(
        Headers({name.replace("_", "-"): value for name, value in headers.items()}), accepts, LIMITS
    )


def rejection(accepts: tuple[str, ...] = BOTH, **headers: str) -> tuple[int, str]:
    with pytest.raises(Problem) as raised:
        parsed(accepts, **headers)
    return raised.value.status, str(raised.value)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/vnd.bentoml+pickle",
        "application/python-pickle",
        "text/plain",
        "nonsense",
        "*/*",
    ],
)
def test_other_content_types_are_rejected(kind: str) -> None:
    status, message = rejection(content_type=kind)
    assert status == 415
    assert f"Content-Type is '{kind}'; send application/octet-stream or" in message


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", ""])
def test_compressed_bodies_are_rejected(encoding: str) -> None:
    status, message = rejection(content_type=JSON, content_encoding=encoding)
    assert status == 415
    assert f"Content-Encoding is '{encoding}'" in message


def test_a_missing_content_type_follows_from_the_header_length_or_is_rejected() -> None:
    assert parsed().media_type == JSON
    assert parsed(inference_header_content_length="7").media_type == BINARY
    assert rejection((JSON,))[0] == 415


def test_parameters_and_case_of_a_content_type_do_not_matter() -> None:
    assert parsed(content_type="Application/JSON; charset=utf-8").media_type == JSON


@pytest.mark.parametrize(("kind", "limit"), [(JSON, 1000), (BINARY, 5000)])
def test_a_body_that_is_announced_too_long_is_rejected_unread(kind: str, limit: int) -> None:
    headers = {"content_type": kind}
    if kind == BINARY:
        headers["inference_header_content_length"] = "0"
    assert parsed(BOTH, content_length=str(limit), **headers).length == limit
    status, message = rejection(BOTH, content_length=str(limit + 1), **headers)
    assert status == 413
    assert f"Content-Length is {limit + 1}; at most {limit} bytes" in message


@pytest.mark.parametrize("length", ["-1", "x", "1e3", " ", "²", "1, 2", "9" * 40])
def test_an_impossible_header_length_is_named(length: str) -> None:
    status, message = rejection(content_type=BINARY, inference_header_content_length=length)
    assert status == 400
    assert LENGTH in message


def test_a_binary_body_needs_its_header_length_and_json_has_none() -> None:
    assert rejection(content_type=BINARY)[0] == 400
    assert rejection(content_type=JSON, inference_header_content_length="5")[0] == 400


def test_the_json_header_is_limited() -> None:
    long = str(MAX_HEADER_BYTES + 1)
    assert rejection(content_type=BINARY, inference_header_content_length=long)[0] == 413
    assert (
        rejection(content_type=BINARY, content_length="9", inference_header_content_length="10")[0]
        == 400
    )


class Wire:
    """Chunks as ASGI delivers them; counts how many were received."""

    def __init__(
        self,
        chunks: list[bytes],
        *,
        hangs: bool = False,
        disconnects: bool = False,
        pause: float = 0.0,
    ) -> None:
        self.chunks = chunks
        self.pause = pause
        self.hangs = hangs
        self.disconnects = disconnects
        self.received = 0

    async def __call__(self) -> dict[str, Any]:
        self.received += 1
        if self.pause:
            await asyncio.sleep(self.pause)
        if self.received <= len(self.chunks):
            chunk = self.chunks[self.received - 1]
            last = self.received == len(self.chunks) and not (self.hangs or self.disconnects)
            return {"type": "http.request", "body": chunk, "more_body": not last}
        if self.hangs:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


def receive(
    wire: Wire, headers: BodyHeaders, budget: Budget, *, follows: int = 0, seconds: float = 60.0
) -> Body:
    return asyncio.run(
        read(headers, wire, budget, seconds=seconds, check_header=lambda header: follows)
    )


def binary(header_length: int, length: int | None = None, limit: int = 5000) -> BodyHeaders:
    return BodyHeaders(BINARY, header_length, length, limit)


@given(st.lists(st.binary(max_size=200), min_size=1), st.integers(0, 64), st.booleans())
@settings(deadline=None)
def test_any_chunking_gives_the_same_bytes(chunks: list[bytes], header: int, known: bool) -> None:
    whole = b"".join(chunks)
    header = min(header, len(whole))
    budget = Budget(10**6)
    headers = binary(header, len(whole) if known else None, limit=10**6)
    body = receive(Wire(chunks), headers, budget, follows=len(whole) - header)
    assert bytes(body.data) == whole
    assert budget.held == len(whole)
    address = np.frombuffer(body.data, np.uint8).__array_interface__["data"][0]
    if len(whole):
        assert (address + header) % 8 == 0
    body.release()
    assert budget.held == 0


@pytest.mark.parametrize(
    ("chunks", "length", "follows", "status"),
    [
        ([b"{}12345678"], 10, 9, 400),
        ([b"{}12345678"], None, 7, 400),
        ([b"{}1234"], None, 8, 400),
        ([b"{"], None, 8, 400),
        ([b"{}" + b"x" * 6000], None, 6000, 413),
        ([b"{}", b"x" * 4000, b"x" * 500], None, 4100, 400),
    ],
)
def test_a_body_unlike_its_json_header_is_rejected(
    chunks: list[bytes], length: int | None, follows: int, status: int
) -> None:
    budget = Budget(10**6)
    with pytest.raises(Problem) as raised:
        receive(Wire(chunks), binary(2, length), budget, follows=follows)
    assert raised.value.status == status
    assert budget.held == 0


def test_a_wrong_length_is_rejected_before_the_rest_is_read() -> None:
    wire = Wire([b"{}", *[b"x" * 100] * 40])
    with pytest.raises(Problem) as raised:
        receive(wire, binary(2, 4002), Budget(10**6), follows=4001)
    assert raised.value.status == 400
    assert wire.received == 1


def test_chunks_are_counted_as_they_arrive() -> None:
    wire = Wire([b"x" * 400] * 10)
    budget = Budget(10**6)
    with pytest.raises(Problem) as raised:
        receive(wire, BodyHeaders(JSON, None, None, 1000), budget)
    assert raised.value.status == 413
    assert wire.received == 3
    assert budget.held == 0


def test_bytes_in_memory_are_limited() -> None:
    budget = Budget(1000)
    first = receive(Wire([b"x" * 600]), BodyHeaders(JSON, None, 600, 5000), budget)
    with pytest.raises(Problem) as raised:
        receive(Wire([b"x" * 300, b"x" * 300]), BodyHeaders(JSON, None, 600, 5000), budget)
    assert raised.value.status == 429
    assert "Retry-After" in raised.value.headers
    assert budget.held == 600
    first.release()
    receive(Wire([b"x" * 600]), BodyHeaders(JSON, None, 600, 5000), budget)


def test_a_body_that_stops_arriving_is_rejected_at_the_deadline() -> None:
    budget = Budget(10**6)
    with pytest.raises(Problem) as raised:
        receive(
            Wire([b"x" * 100], hangs=True), BodyHeaders(JSON, None, 600, 5000), budget, seconds=0.05
        )
    assert raised.value.status == 408
    assert "only 100 bytes" in str(raised.value)
    assert budget.held == 0


@pytest.mark.long
def test_bytes_that_drip_are_no_progress() -> None:
    budget = Budget(10**6)
    wire = Wire([b"x"] * 1000, pause=0.2)
    begun = time.monotonic()
    with pytest.raises(Problem) as raised:
        receive(wire, BodyHeaders(JSON, None, 1000, 5000), budget)
    assert raised.value.status == 408
    assert PROGRESS_SECONDS - 1 < time.monotonic() - begun < PROGRESS_SECONDS + 20
    assert budget.held == 0


@pytest.mark.long
def test_a_body_may_take_longer_than_the_time_for_one_part_of_it() -> None:
    parts = [b"x" * PROGRESS_BYTES] * 4
    wire = Wire(parts, pause=PROGRESS_SECONDS / 3)
    size = 4 * PROGRESS_BYTES
    body = receive(wire, BodyHeaders(JSON, None, size, size), Budget(10**6))
    assert body.size == size


def test_a_client_that_disconnects_holds_no_memory() -> None:
    budget = Budget(10**6)
    with pytest.raises(ClientDisconnected):
        receive(Wire([b"x" * 100], disconnects=True), BodyHeaders(JSON, None, 600, 5000), budget)
    assert budget.held == 0


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_an_announced_body_takes_no_memory_until_it_arrives() -> None:
    before = resident_bytes()
    bodies = [
        Body(BodyHeaders(BINARY, 0, 80 * 2**20, 80 * 2**20), Budget(2**40)) for _ in range(20)
    ]
    for body in bodies:
        body.append(b"x" * 1000)
    assert resident_bytes() - before < 10 * 2**20
