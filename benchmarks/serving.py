"""Serving: speed over HTTP, compared with scoring in process, and how it scales."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from outcrop import Client
from scoring.scorer import Scorer

from .call import binary
from .memory import in_process_bytes
from .results import ResultTable, Target
from .server import ServerProcess, outcrop
from .timing import median, milliseconds, rate, seconds_of, take_turns
from .workload import Workload

_MEGABYTE = 2**20
_SPECTRA_PER_CALLER = 20


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure this project's service."""
    bundle = workload.bundle(workload.sizes.reference_latents)
    with outcrop(bundle, workload.folder / "outcrop.log") as server:
        memory = {"server, ready": server.peak_bytes()}
        found = [*_petals(workload, bundle, server), _batches(workload, server)]
        memory["server, after petals and up to 1000 spectra a request"] = server.peak_bytes()
        found.append(_callers(workload, server))
        memory["server, after many callers"] = server.peak_bytes()

    memory["one petal in process, no server"] = in_process_bytes(bundle, workload.petal)
    rows = [(name, round(peak / _MEGABYTE)) for name, peak in memory.items()]
    found.append(
        ResultTable("Peak memory", ("", "MiB"), rows, "Peak resident set of the largest process.")
    )
    return found


def _petals(workload: Workload, bundle: Path, server: ServerProcess) -> list[Target | ResultTable]:
    sizes = workload.sizes
    scorer = Scorer.open(bundle)
    spectra, one = workload.spectra(sizes.petal), workload.spectra(1)

    with Client(server.url) as client, Client(server.url) as other, ThreadPoolExecutor(2) as pool:
        clients = client, other
        taken = take_turns(
            {
                "in process": lambda: scorer.score(spectra),
                "one caller": lambda: client.score(spectra),
                "two callers": lambda: list(pool.map(lambda each: each.score(spectra), clients)),
            },
            2 * sizes.seconds,
        )
        alone = [seconds_of(lambda: client.score(one)) for _ in range(sizes.requests)]

    seconds = {name: median(each) for name, each in taken.items()}
    seconds["two callers"] /= 2
    p50, p99 = (milliseconds(float(each)) for each in np.percentile(alone, (50, 99)))
    share = 100 * seconds["in process"] / seconds["one caller"]

    return [
        Target("over HTTP, one caller, share of the rate in process", share, 50, "%"),
        Target("one spectrum over HTTP, p50", p50, 4, "ms", at_most=True),
        ResultTable(
            f"Over HTTP: petals of {sizes.petal}, {sizes.reference_latents} reference latents",
            ("", "ms a petal", "spectra/s"),
            [(name, milliseconds(each), rate(sizes.petal, each)) for name, each in seconds.items()],
            "The SDK's client sends binary tensors, on the same cores as the server. One spectrum "
            f"takes {p50} ms (p50), {p99} ms (p99).",
        ),
    ]


def _batches(workload: Workload, server: ServerProcess) -> ResultTable:
    sizes = workload.sizes
    calls = {str(n): binary(server.url, workload.spectra(n)) for n in sizes.batches}
    taken = take_turns(calls, sizes.seconds)
    rows = [(n, median(taken[str(n)])) for n in sizes.batches]
    return ResultTable(
        f"Over HTTP, by spectra per request ({sizes.reference_latents} reference latents)",
        ("spectra", "ms", "spectra/s"),
        [(n, milliseconds(each), rate(n, each)) for n, each in rows],
    )


def _callers(workload: Workload, server: ServerProcess) -> ResultTable:
    sizes = workload.sizes
    spectra = workload.spectra(_SPECTRA_PER_CALLER)

    def call(requests: int) -> list[float]:
        with Client(server.url) as client:
            return [seconds_of(lambda: client.score(spectra)) for _ in range(requests)]

    rows = []

    for callers in sizes.callers:
        shares = [max(sizes.requests // callers, 2)] * callers
        alone: list[list[float]] = []
        with ThreadPoolExecutor(callers) as pool:
            total = seconds_of(lambda: alone.extend(pool.map(call, shares)))  # noqa: B023 (called here)
        p50, p99 = np.percentile(np.concatenate(alone), (50, 99))
        count = sum(shares) * _SPECTRA_PER_CALLER
        rows.append((callers, rate(count, total), milliseconds(p50), milliseconds(p99)))

    return ResultTable(
        f"Over HTTP, by callers ({_SPECTRA_PER_CALLER} spectra per request)",
        ("callers", "spectra/s", "ms, p50", "ms, p99"),
        rows,
        "The callers are threads of one process, on the same two cores as the server.",
    )
