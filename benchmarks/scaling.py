"""Scaling: how the time of scoring grows with the batch and with the reference sample."""

from scoring.scorer import Scorer

from .results import ResultTable
from .timing import median, milliseconds, rate, take_turns
from .workload import Workload


def measure(workload: Workload) -> list[ResultTable]:
    """Measure both in process."""
    return [_batches(workload), _references(workload)]


def _batches(workload: Workload) -> ResultTable:
    sizes = workload.sizes
    scorer = Scorer.open(workload.bundle(sizes.reference_latents))
    batches = {count: workload.spectra(count) for count in sizes.batches}

    taken = take_turns(
        {str(count): lambda batch=batch: scorer.score(batch) for count, batch in batches.items()},
        sizes.seconds,
    )
    seconds = {count: median(taken[str(count)]) for count in batches}
    return ResultTable(
        f"In process, by spectra per call ({sizes.reference_latents} reference latents)",
        ("spectra", "ms", "spectra/s"),
        [(count, milliseconds(each), rate(count, each)) for count, each in seconds.items()],
    )


def _references(workload: Workload) -> ResultTable:
    sizes = workload.sizes
    spectra = workload.spectra(sizes.petal)
    one = workload.spectra(1)
    rows = []

    for count in sizes.reference_latents_range:
        scorer = Scorer.open(workload.bundle(count))
        taken = take_turns(
            {"petal": lambda: scorer.score(spectra), "one": lambda: scorer.score(one)},  # noqa: B023 (called in this pass of the loop)
            sizes.seconds / 2,
        )
        petal, single = median(taken["petal"]), median(taken["one"])
        rows.append((count, milliseconds(petal), rate(sizes.petal, petal), milliseconds(single)))

    return ResultTable(
        f"In process, by reference latents ({sizes.petal} spectra)",
        ("reference latents", "ms", "spectra/s", "ms, one spectrum"),
        rows,
    )
