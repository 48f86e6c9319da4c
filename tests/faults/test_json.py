"""JSON that would unfold into gigabytes is rejected in little memory, while probes are answered."""

import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.service.conftest import ServedProcess, serving
from tests.service.helpers import INFER, JSON

SIZE = 8 * 2**20  # as much JSON as is read by default
CALLERS = 4
RESIDENT = 900 * 2**20
ADDRESS_SPACE = 2800 * 2**20
# The goal is 0.5 s on a machine of one's own; this one may be shared.
PROBE_SECONDS = 3.0


def filled(start: str, item: str, end: str = "") -> bytes:
    """Return start, as many items as make 8 MiB, and end."""
    count = (SIZE - len(start) - len(end)) // len(item.encode())
    return (start + item * count + end).encode()


def numbered(start: str, end: str) -> bytes:
    """Return an object of as many numbered fields as make 8 MiB."""
    fields = ",".join(f'"{i}":0' for i in range(SIZE // 12))
    return f"{start}{{{fields}}}{end}".encode()


Z = '{"name":"z","shape":[1],"datatype":"FP64"'
SPECTRUM = '{"spectra":[{"z":0,"ivar":[],"flux":[],"wavelength":'
ATTACKS: dict[str, tuple[str, bytes]] = {
    "unknown fields": ("/score", numbered("", "")),
    "unknown fields of a message": (INFER, numbered("", "")),
    "unknown parameters": (INFER, numbered('{"inputs":[],"parameters":', "}")),
    "unknown fields of a request to explain": ("/explain", numbered("", "")),
    "small spectra to explain": ("/explain", filled('{"spectra":[{"z":0}', ',{"z":0}', "]}")),
    "deep lists to explain": ("/explain", filled('{"spectra":', "[")),
    "numbers to explain": ("/explain", filled(SPECTRUM + "[0", ",0", "]}]}")),
    "empty spectra": ("/score", filled('{"spectra":[{}', ",{}", "]}")),
    "small spectra": ("/score", filled('{"spectra":[{"z":0}', ',{"z":0}', "]}")),
    "empty inputs": (INFER, filled('{"inputs":[{}', ",{}", "]}")),
    "small inputs": (INFER, filled('{"inputs":[' + Z + "}", "," + Z + "}", "]}")),
    "small outputs": (
        INFER,
        filled('{"inputs":[],"outputs":[{"name":"nof"}', ',{"name":"nof"}', "]}"),
    ),
    "long shape": (INFER, filled('{"inputs":[{"name":"z","shape":[1', ",1000", "]}]}")),
    "empty lists": ("/score", filled('{"spectra":[[]', ",[]", "]}")),
    "short lists": ("/score", filled('{"spectra":[[0]', ",[0]", "]}")),
    "brackets": ("/score", filled("", "]")),
    "deep lists": ("/score", filled('{"spectra":', "[")),
    "deep lists in a spectrum": ("/score", filled(SPECTRUM, "[")),
    "deep lists in a tensor": (INFER, filled('{"inputs":[' + Z + ',"data":', "[")),
    "deep objects": ("/score", filled("", '{"a":')),
    "deep parameters": (INFER, filled('{"inputs":[],"parameters":', '{"a":')),
    "empty strings": ("/score", filled(SPECTRUM + '[""', ',""', "]}]}")),
    "empty strings in a tensor": (INFER, filled('{"inputs":[' + Z + ',"data":[""', ',""', "]}]}")),
    "empty lists in a tensor": (INFER, filled('{"inputs":[' + Z + ',"data":[[]', ",[]", "]}]}")),
    "numbers": ("/score", filled(SPECTRUM + "[0", ",0", "]}]}")),
    "numbers in a tensor": (INFER, filled('{"inputs":[' + Z + ',"data":[0', ",0", "]}]}")),
    "one number": ("/score", filled('{"spectra":[{"flux":[],"z":1', "0", "}]}")),
    "one string": (INFER, filled('{"inputs":[],"id":"', "é", '"}')),
}


@contextmanager
def watched(served: ServedProcess) -> Iterator[dict[str, float]]:
    """Measure, until the block ends, the worker's peak memory and the slowest answer of /livez."""
    (worker,) = psutil.Process(served.process.pid).children(recursive=True)
    peak = {"resident": 0.0, "seconds": 0.0}
    over = threading.Event()

    def measure() -> None:
        while not over.wait(0.005):
            peak["resident"] = max(peak["resident"], worker.memory_info().rss)

    def probe() -> None:
        with httpx2.Client(base_url=served.url, timeout=60) as client:
            while not over.wait(0.01):
                started = time.monotonic()
                assert client.get("/livez").status_code == 200
                peak["seconds"] = max(peak["seconds"], time.monotonic() - started)

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(measure), pool.submit(probe)]
        try:
            yield peak
        finally:
            over.set()
            for each in running:
                each.result()


def attack(url: str, path: str, body: bytes) -> None:
    """Send a body from several callers at a time, twice; it must be rejected every time."""

    def send(_: int) -> None:
        answer = httpx2.post(f"{url}{path}", content=body, headers=JSON, timeout=120)
        assert answer.status_code in (400, 413, 503), answer.text
        content = answer.json()
        assert sorted(content) == ["error", "request_id"]
        assert len(content["error"]) < 1000

    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(send, range(2 * CALLERS)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_json_that_unfolds_takes_little_memory_and_blocks_no_probe(
    bundle: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served:
        for name, (path, body) in ATTACKS.items():
            with watched(served) as peak:
                attack(served.url, path, body)
            found = f"{name}: {peak['resident'] / 2**20:.0f} MiB, {peak['seconds']:.3f} s"
            print(found)  # noqa: T201
            assert peak["resident"] < RESIDENT, found
            assert peak["seconds"] < PROBE_SECONDS, found
        assert '"code": 5' not in served.log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_without_memory_such_json_is_an_error_and_never_the_end(
    bundle: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served:
        (worker,) = psutil.Process(served.process.pid).children(recursive=True)
        worker.rlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        for path, body in ATTACKS.values():
            attack(served.url, path, body)
        assert worker.is_running()
        assert worker in psutil.Process(served.process.pid).children(recursive=True)
