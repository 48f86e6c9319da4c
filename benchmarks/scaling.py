"""Growth: how the cost of scoring grows with the batch and with the reference sample."""

from scoring.scorer import Scorer

from .results import Table
from .timing import median, milliseconds, rate, take_turns
from .workload import Material


def measure(material: Material) -> list[Table]:
    """Measure both in process."""
    return [_batches(material), _references(material)]


def _batches(material: Material) -> Table:
    sizes = material.sizes
    scorer = Scorer.open(material.bundle(sizes.reference))
    batches = {count: material.spectra(count) for count in sizes.batches}
    taken = take_turns(
        {str(count): lambda batch=batch: scorer.score(batch) for count, batch in batches.items()},
        sizes.seconds,
    )
    seconds = {count: median(taken[str(count)]) for count in batches}
    return Table(
        f"In process, by spectra per call ({sizes.reference} reference latents)",
        ("spectra", "ms", "spectra/s"),
        [(count, milliseconds(each), rate(count, each)) for count, each in seconds.items()],
    )


def _references(material: Material) -> Table:
    sizes = material.sizes
    spectra = material.spectra(sizes.petal)
    one = material.spectra(1)
    rows = []
    for count in sizes.references:
        scorer = Scorer.open(material.bundle(count))
        taken = take_turns(
            {"petal": lambda: scorer.score(spectra), "one": lambda: scorer.score(one)},  # noqa: B023 (called before the next turn)
            sizes.seconds / 2,
        )
        petal = median(taken["petal"])
        rows.append(
            (
                count,
                milliseconds(petal),
                rate(sizes.petal, petal),
                milliseconds(median(taken["one"])),
            )
        )
    return Table(
        f"In process, by reference latents ({sizes.petal} spectra)",
        ("reference latents", "ms", "spectra/s", "ms, one spectrum"),
        rows,
    )
