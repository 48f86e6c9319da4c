"""Release: a plan of petals scored on an engine, from local files to score tables."""

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from outcrop import correct_noise, find_petals, read_spectra
from outcrop.plan import Plan, PlannedPetal
from release.journal import BEGUN, SCORED, read_events
from scoring.scorer import Scorer

from .engines import ENGINES, run_command
from .results import ResultTable, Target
from .timing import median, rate, seconds_of, take_turns
from .workload import ROOT, Workload

WORKERS = (1, 2)
_SPECTRA = 500  # of a petal
_LEAST_RATE = 3000
_LEAST_SHARE = 70
LEAST_SCALING = 1.8
_MOST_MEMORY = 1200  # MB


def measure(workload: Workload) -> list[Target | ResultTable]:
    """Measure ``python -m release run`` with one and two processes."""
    model = workload.bundle(workload.sizes.reference_latents)
    plan = plan_release(workload)

    own: list[float] = []
    turns: list[list[ReleaseTimes]] = []
    for _ in range(workload.sizes.release_turns):
        own.append(_scorer_rate(workload, model))
        turns.append(run_workers(workload, model, plan, "processes"))
    one, two = (median_run(runs) for runs in zip(*turns, strict=True))
    share = 100 * median([runs[1].rate / alone for runs, alone in zip(turns, own, strict=True)])

    petals = len(find_petals(workload.sky))
    return [
        Target("a release, two processes", two.rate, _LEAST_RATE, "spectra/s"),
        Target("a release, share of the scorer's rate", share, _LEAST_SHARE, "%"),
        Target("a release, two processes over one", scaling(turns), LEAST_SCALING, "times"),
        Target("a release, memory of a process", two.memory, _MOST_MEMORY, "MB", at_most=True),
        ResultTable(
            f"A release of {workload.sizes.release_petals} petals",
            ("processes", "spectra/s", "MB a process"),
            [
                (processes, rate(run.spectra, run.seconds), run.memory)
                for processes, run in zip(WORKERS, (one, two), strict=True)
            ],
            "Files are read, their noise is corrected, their spectra are scored, and tables are "
            "written: from the first petal that is begun to the last one that is scored. With the "
            f"start of the processes, two of them take {two.command:.0f} s. The scorer alone, with "
            f"two threads, scores {median(own):.0f} spectra/s of the same petals. All petals are "
            f"links to {petals}, which the system keeps in memory. Medians of {len(turns)} turns.",
        ),
    ]


@dataclass(frozen=True)
class ReleaseTimes:
    """What a run took.

    Attributes
    ----------
    spectra : int
    seconds : float
        From the first petal that is begun to the last one that is scored.
    command : float
        Seconds of the command.
    memory : int
        MB of the largest process.
    """

    spectra: int
    seconds: float
    command: float
    memory: int

    @property
    def rate(self) -> float:
        """Spectra a second."""
        return self.spectra / self.seconds


def plan_release(workload: Workload) -> Plan:
    """Return a plan of as many petals as are wanted, which are links to those of the sky."""
    root, petals = workload.folder / "release", find_petals(workload.sky)
    planned: list[PlannedPetal] = []
    for number in range(workload.sizes.release_petals):
        petal = petals[number % len(petals)]
        names = [
            f"tiles/cumulative/{number // 10}/20210324/{kind}-{number}.fits"
            for kind in ("coadd", "redrock")
        ]
        for name, path in zip(names, (petal.coadd, petal.redrock), strict=True):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if not (root / name).is_symlink():
                (root / name).symlink_to(path.absolute())
        size = petal.coadd.stat().st_size
        planned.append(PlannedPetal(names[0], names[1], spectra=_SPECTRA, size=size))
    return Plan(str(root), tuple(sorted(planned, key=lambda each: each.coadd)))


def _scorer_rate(workload: Workload, model: Path) -> float:
    """Return how many spectra of whole petals a scorer with two threads scores a second.

    All petals are scored in turn: of the same few again and again the processor learns the way
    through the tree of neighbours, and takes half as long for these as in a release.
    """
    scorer = Scorer.open(model, threads=2)
    petals = [
        correct_noise(read_spectra(petal.coadd, petal.redrock))
        for petal in find_petals(workload.sky)
    ]

    def score() -> None:
        for spectra in petals:
            scorer.score(spectra)

    taken = take_turns({"score": score}, workload.sizes.seconds)["score"]
    return sum(map(len, petals)) / median(taken)


def run_workers(workload: Workload, model: Path, plan: Plan, engine: str) -> list[ReleaseTimes]:
    """Score a plan on an engine with one worker, and with two."""
    return [run_release(workload, model, plan, engine, workers) for workers in WORKERS]


def median_run(runs: Sequence[ReleaseTimes]) -> ReleaseTimes:
    """Return the run of the median rate."""
    return sorted(runs, key=lambda run: run.rate)[len(runs) // 2]


def scaling(turns: Sequence[Sequence[ReleaseTimes]]) -> float:
    """Return how many times as fast two workers are, the median over the turns."""
    return median([two.rate / one.rate for one, two in turns])


def run_release(
    workload: Workload, model: Path, plan: Plan, engine: str, workers: int
) -> ReleaseTimes:
    """Score a plan on an engine; return what that took."""
    folder = Path(tempfile.mkdtemp(prefix=f"release-{engine}-{workers}-", dir=workload.folder))
    path, output = folder / "plan.ecsv", folder / "tables"
    plan.write(path)
    with ENGINES[engine](folder, workers) as executor:
        command = run_command(executor, path, "--model", model, "--output", output, workers=workers)
        seconds = seconds_of(
            lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        )

    events = read_events(output)
    scored = [event for event in events if event.state == SCORED]
    first = min(event.time for event in events if event.state == BEGUN)
    return ReleaseTimes(
        sum(event.spectra for event in scored),
        max(event.time for event in scored) - first,
        seconds,
        max(event.memory for event in scored),
    )
