"""Scaling of engines: a release on MPI, dask and Parsl, with one worker and with two."""

from .engines import ENGINES
from .release import LEAST_SCALING, WORKERS, plan_release, run_release
from .results import ResultTable, Target
from .timing import rate
from .workload import Workload


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure ``python -m release run`` on each engine but processes."""
    model = workload.bundle(workload.sizes.reference_latents)
    plan = plan_release(workload)
    times = {
        engine: [run_release(workload, model, plan, engine, workers) for workers in WORKERS]
        for engine in ENGINES
        if engine != "processes"
    }

    targets = [
        Target(
            f"a release, two workers of {engine} over one",
            two.rate / one.rate,
            LEAST_SCALING,
            "times",
        )
        for engine, (one, two) in times.items()
    ]
    return [
        *targets,
        ResultTable(
            f"A release of {workload.sizes.release_petals} petals on other engines",
            ("engine", "workers", "spectra/s", "MB a worker"),
            [
                (engine, workers, rate(run.spectra, run.seconds), run.memory)
                for engine, runs in times.items()
                for workers, run in zip(WORKERS, runs, strict=True)
            ],
            "The first rank of MPI, dask's scheduler and Parsl's interchange run on the same cores "
            "as the workers.",
        ),
    ]
