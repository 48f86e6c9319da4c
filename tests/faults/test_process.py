"""A server that is suspended, short of memory or restarted costs time, never a row."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest

from outcrop import Client, Scores, Spectra
from outcrop.night.retries import RetryingClient
from outcrop.wire import encode_request
from tests.service.conftest import ServedProcess, serving
from tests.service.helpers import INFER, assert_error, make_spectra, wait_for
from tests.service.restartable import RestartableService


def assert_same(found: Scores, expected: Scores) -> None:
    """Assert that two answers are the same, bit for bit."""
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(getattr(found, name), column, err_msg=name)


def parts(spectra: Spectra, size: int) -> list[Spectra]:
    edges = [*range(0, len(spectra), size), len(spectra)]
    return [spectra[first:last] for first, last in pairwise(edges)]


def requests(url: str) -> float:
    """Return how many inference requests the server has answered with scores."""
    for line in httpx2.get(f"{url}/metrics").text.splitlines():
        if line.startswith("outcrop_requests_total") and "/infer" in line and '"200"' in line:
            return float(line.rpartition(" ")[2])
    return 0.0


def test_a_server_suspended_for_5_s_scores_every_row_when_it_is_resumed(
    served: ServedProcess, processes: list[psutil.Process], spectra: Spectra
) -> None:
    with Client(served.url) as client, ThreadPoolExecutor(1) as caller:
        expected = client.score(spectra)
        begun = requests(served.url)
        answers = caller.submit(lambda: [client.score(each) for each in parts(spectra, 25)])
        wait_for(lambda: requests(served.url) > begun)
        for process in processes:
            process.suspend()
        try:
            assert not answers.done()
            time.sleep(5)
            assert not answers.done()
        finally:
            for process in reversed(processes):
                process.resume()
        assert_same(Scores.concatenate(answers.result()), expected)


@pytest.mark.slow
def test_a_restart_under_load_loses_nothing(bundle: Path, tmp_path: Path, spectra: Spectra) -> None:
    server = RestartableService(bundle, tmp_path)
    pieces = parts(spectra, 50)
    over = threading.Event()

    def nights(retrying: RetryingClient) -> Iterator[Scores]:
        while not over.is_set():
            yield Scores.concatenate([retrying.score(each) for each in pieces])

    try:
        server.start()
        with Client(server.url) as client, ThreadPoolExecutor(3) as callers:
            expected = Scores.concatenate([client.score(each) for each in pieces])
            # A client's own tries last 4 s; those of a night as long as a restart takes.
            retrying = RetryingClient(client, threading.Event())
            answers = [callers.submit(list, nights(retrying)) for _ in range(3)]
            for _ in range(2):
                before = requests(server.url)
                wait_for(lambda before=before: requests(server.url) > before + 10)
                server.stop()
                server.start()
            over.set()
            for answer in answers:
                rounds = answer.result()
                assert rounds
                for scores in rounds:
                    assert_same(scores, expected)
    finally:
        over.set()
        server.stop()


@pytest.mark.slow
def test_a_server_short_of_memory_rejects_a_request_and_goes_on(
    bundle: Path, tmp_path: Path
) -> None:
    small, large = make_spectra(2), make_spectra(1000)
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served, Client(served.url) as client:
        expected = client.score(small)
        (worker,) = psutil.Process(served.process.pid).children(recursive=True)
        limit = worker.memory_info().vms + 48 * 2**20
        worker.rlimit(psutil.RLIMIT_AS, (limit, limit))
        headers, body = encode_request(large)
        answer = httpx2.post(served.url + INFER, content=body, headers=headers, timeout=60)
        assert_error(answer, 503, "no memory left", "send fewer spectra")
        assert_same(client.score(small), expected)
