"""Scaling of engines: a release on MPI, dask and Parsl, with one worker and with two."""

from .engines import ENGINES
from .release import LEAST_SCALING, WORKERS, median_run, plan_release, run_workers, scaling
from .results import ResultTable, Target
from .timing import rate
from .workload import Workload


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure ``python -m release run`` on each engine but processes."""
    model = workload.bundle(workload.sizes.reference_latents)
    plan = plan_release(workload)
    engines = [engine for engine in ENGINES if engine != "processes"]
    turns = [
        {engine: run_workers(workload, model, plan, engine) for engine in engines}
        for _ in range(workload.sizes.release_turns)
    ]

    targets = [
        Target(
            f"a release, two workers of {engine} over one",
            scaling([turn[engine] for turn in turns]),
            LEAST_SCALING,
            "times",
        )
        for engine in engines
    ]
    runs = {
        (engine, workers): median_run([turn[engine][number] for turn in turns])
        for engine in engines
        for number, workers in enumerate(WORKERS)
    }
    return [
        *targets,
        ResultTable(
            f"A release of {workload.sizes.release_petals} petals on other engines",
            ("engine", "workers", "spectra/s", "MB a worker"),
            [
                (engine, workers, rate(run.spectra, run.seconds), run.memory)
                for (engine, workers), run in runs.items()
            ],
            "The first rank of MPI, dask's scheduler and Parsl's interchange run on the same cores "
            f"as the workers. Medians of {len(turns)} turns.",
        ),
    ]
