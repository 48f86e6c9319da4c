"""The memory of a served process does not grow from request 20,000 to 100,000."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from outcrop.wire import encode_request
from tests.service.conftest import serving
from tests.service.helpers import INFER, JSON, encoded, make_spectra, score_request

FIRST, LAST = 20_000, 100_000
CALLERS = 4


def requests() -> list[tuple[str, str, bytes, dict[str, str], int]]:
    """Return requests of every kind, with the status each is answered with."""
    made: list[tuple[str, str, bytes, dict[str, str], int]] = []
    for count in (1, 2, 5, 20):
        for names in (("b", "r", "z"), ("brz",)):
            headers, body = encode_request(make_spectra(count, names), reconstruction=count == 2)
            made.append(("POST", INFER, body, headers, 200))
    headers, body = encode_request(make_spectra(1))
    made.append(("POST", INFER, body[:-1], headers, 400))
    made.append(("POST", "/score", encoded(score_request(make_spectra(1, ("b",)))), JSON, 200))
    made.append(("POST", "/score", b'{"spectra": [{"z": "x"}]}', JSON, 400))
    made.append(("POST", "/score", b"x", {"Content-Type": "text/plain"}, 415))
    made.append(("GET", "/metrics", b"", {}, 200))
    made.append(("GET", "/model", b"", {}, 200))
    return made


def send(url: str, count: int, first: int) -> None:
    kinds = requests()
    with httpx2.Client(base_url=url, timeout=60) as client:
        for i in range(first, first + count):
            method, path, body, headers, status = kinds[i % len(kinds)]
            answer = client.request(method, path, content=body, headers=headers)
            assert answer.status_code == status, answer.text
            # No memory may be kept for paths that clients make up.
            if i % 20 == 0:
                assert client.get(f"/nowhere/{i}").status_code == 404


def grown(url: str, resident: Callable[[], int], first: int, last: int) -> float:
    """Return the ratio of the memory after `last` requests to that after `first`."""
    with ThreadPoolExecutor(CALLERS) as callers:

        def spend(count: int, begin: int) -> int:
            share = count // CALLERS
            for each in [callers.submit(send, url, share, begin + i) for i in range(CALLERS)]:
                each.result()
            return resident()

        before = spend(first, 0)
        after = spend(last - first, first)
    print(f"resident {before / 2**20:.1f} MiB after {first}, {after / 2**20:.1f} after {last}")  # noqa: T201
    return after / before


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_resident_memory_is_constant_from_request_20000_to_100000(
    bundle: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served:
        (worker,) = psutil.Process(served.process.pid).children(recursive=True)
        assert grown(served.url, lambda: worker.memory_info().rss, FIRST, LAST) < 1.05
