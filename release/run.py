"""Run: score every petal of a plan on an executor, whatever happens to its processes.

Petals are submitted largest first, a few more at a time than there are workers. A run that was
stopped, killed or lost continues when it is run again: petals with a current table are not scored
again. A petal that cannot be scored is recorded and the run continues; where no petal can be
scored, because the disk is full or the server with the files does not answer, the run stops.

A petal whose process is killed is tried again after the others; if that happens again, with ever
fewer others at a time, since in an MPI job one petal ends the processes of all; and it is set apart
when it was lost three times or more, the last time alone. The journal counts, so that it does not
matter whether the run was killed too.
"""

import argparse
import contextlib
import logging
import math
import os
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from outcrop import InputError, OutcropError
from outcrop._signals import stopped_by_signals
from outcrop.model import ModelIdentity
from outcrop.night.folder_lock import locked
from outcrop.noise import warn_of_other_noise
from outcrop.plan import Plan
from outcrop.remote import is_remote

from .executors import NAMES, open_engine
from .flagged_rows import FlaggedRows
from .journal import (
    AGAIN,
    CURRENT,
    ENDED,
    FAILED,
    LOCK,
    PLAN,
    RUN,
    SCORED,
    SET_APART,
    Event,
    Journal,
    read_events,
    read_records,
)
from .petal import UNUSABLE, PetalResult, PetalTask, ScoringOptions, score_planned
from .progress import Progress
from .status import show_failures

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

logger = logging.getLogger(__name__)

KILLS: Final = 3
"""A petal that kills so many processes is set apart, unless others were in progress with it."""
_FEW: Final = 4  # petals that may as well wait for each other
_WINDOW: Final = 64  # petals submitted at a time, where it is not given
_BARREN: Final = 3  # losses without a petal begun, after which the executor is given up
_SILENT: Final = 2  # windows of petals in a row that a server did not give, after which it is down
_POLL: Final = 0.5  # s, between looks whether the run is to stop

_EXAMPLE: Final = """example:
  python -m release run plan.ecsv --model models/first --output outliers --executor processes:8
  mpiexec -n 9 python -m mpi4py.futures -m release run plan.ecsv --model models/first \\
      --output outliers --executor mpi

environment:
  DESI_LOGLEVEL   debug, info (default), warning, error or critical
"""


@dataclass
class Totals:
    """Counts of a run.

    Attributes
    ----------
    petals : int
        Of the plan.
    scored, current : int
        Petals scored by this run, and those that had their table.
    spectra : int
        Of those scored by this run.
    flagged, eligible : int
        Rows of those scored by this run and, as the journal knows, by earlier ones.
    failures, set_apart : dict of str to str
        Why, by the path of the coadd in the plan.
    """

    petals: int
    scored: int = 0
    current: int = 0
    spectra: int = 0
    flagged: int = 0
    eligible: int = 0
    failures: dict[str, str] = field(default_factory=dict[str, str])
    set_apart: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def waiting(self) -> int:
        """Petals that are not tried yet."""
        done = self.scored + self.current + len(self.failures) + len(self.set_apart)
        return self.petals - done

    @property
    def complete(self) -> bool:
        """Whether every petal is scored."""
        return self.scored + self.current == self.petals

    def __str__(self) -> str:
        return (
            f"{self.petals} petals: {self.scored + self.current} scored, {self.scored} of them "
            f"now; {len(self.failures)} failed, {len(self.set_apart)} set apart, "
            f"{self.waiting} waiting\n{self.spectra} spectra now"
        )


def score_release(
    plan: Plan,
    executor: Executor,
    output: str | os.PathLike[str],
    options: ScoringOptions,
    *,
    window: int = _WINDOW,
    again: bool = False,
    stop: threading.Event | None = None,
) -> Totals:
    """Score the petals of a plan that have no current table.

    Parameters
    ----------
    plan : Plan
    executor : concurrent.futures.Executor
        Its processes must see the files, the model and `output`.
    output : path
        Made if missing. It holds the tables, ``outliers-*.fits``, in the same subfolders as the
        coadds below the plan's root, and journal and logs in ``run``.
    options : ScoringOptions
    window : int
        Petals submitted at a time: twice the number of workers.
    again : bool
        Whether the petals that were set apart are tried again.
    stop : threading.Event, optional
        Once it is set, no petal is begun, and the call returns when those in progress have ended.

    Raises
    ------
    InputError
        Where `output` cannot be used, or the root of the plan is not there.
    FolderInUse
        Where another run works on `output`.
    OutcropError
        Where the run cannot continue: the disk is full, the model cannot be opened, the server
        with the files does not answer, or the executor begins no petal.
    """
    if not is_remote(plan.root) and not Path(plan.root).is_dir():
        raise InputError(
            f"{plan.root}, the root of the plan, is no folder of this machine; --root names another"
        )
    folder = Path(output).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be a folder: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder} cannot be written to; choose another folder")

    with locked(folder, LOCK):
        (folder / ENDED).unlink(missing_ok=True)
        try:
            return _Run(plan, executor, folder, options, window, again, stop).run()
        finally:
            # The disk may be full.
            with contextlib.suppress(OSError):
                (folder / ENDED).touch()


class _Run:
    """A run of `score_release`."""

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        folder: Path,
        options: ScoringOptions,
        window: int,
        again: bool,
        stop: threading.Event | None,
    ) -> None:
        self._folder, self._executor, self._window = folder, executor, window
        self._journal = Journal(folder)
        self._stop = stop or threading.Event()
        self._fatal = ""
        self.totals = Totals(len(plan.petals))
        self._progress = Progress(plan)

        # By the number of processes that they killed.
        self._waiting: defaultdict[int, deque[PetalTask]] = defaultdict(deque)
        self._in_progress: dict[Future[PetalResult], PetalTask] = {}
        self._ended: queue.SimpleQueue[Future[PetalResult]] = queue.SimpleQueue()
        self._barren = self._unreachable = 0
        self._warned = False

        self._plan, self._options = plan, options
        what = f"{len(plan.petals)} petals of {plan.root}"
        self._write(Event(RUN, message=what, window=window))
        plan.write(folder / PLAN, overwrite=True)
        self._records = read_records(read_events(folder))
        if again:
            self._forgive()

    def run(self) -> Totals:
        """Score the petals."""
        with self._progress:
            try:
                self._enqueue_all()
                while not self._stop.is_set() and not self._fatal:
                    self._submit()
                    if not self._in_progress:
                        break
                    self._record()
            finally:
                self._finish()
        if self._fatal:
            raise OutcropError(self._fatal)
        return self.totals

    def _enqueue_all(self) -> None:
        """Let every petal wait, the largest first."""
        plan = self._plan
        for petal in sorted(plan.petals, key=lambda one: (-one.size, -one.spectra, one.coadd)):
            coadd, redrock = (
                _absolute(plan.address(name)) for name in (petal.coadd, petal.redrock)
            )
            folder = str(self._folder)
            self._enqueue(PetalTask(petal.coadd, coadd, redrock, folder, self._options))

    def _submit(self) -> None:
        """Submit as many petals as fit into the window, those that killed processes last."""
        while kills := sorted(number for number, tasks in self._waiting.items() if tasks):
            if len(self._in_progress) >= _at_a_time(kills[0], self._window):
                return
            task = self._waiting[kills[0]].popleft()
            try:
                future = self._executor.submit(score_planned, task)
            except BrokenExecutor as error:
                self._fatal = f"the executor cannot go on: {error}; run again"
                return
            self._in_progress[future] = task
            future.add_done_callback(self._ended.put)

    def _record(self) -> None:
        """Record what has ended, after waiting for it."""
        ended: list[Future[PetalResult]] = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=_POLL))
            while True:
                ended.append(self._ended.get_nowait())

        lost: list[tuple[PetalTask, BaseException]] = []
        for future in ended:
            task = self._in_progress.pop(future)
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                self._barren = 0
                self._end(future.result())
            else:
                lost.append((task, error))
        if lost:
            self._recover(lost)

    def _end(self, result: PetalResult) -> None:
        totals = self.totals
        if result.state == UNUSABLE:
            self._fatal = self._fatal or result.message
            return
        if result.foreign and not self._warned:
            self._warned = True
            logger.warning(
                "the model was trained on a simulated sky, and %s is not simulated: do not take "
                "its scores for DESI results",
                result.name,
            )

        if result.state == SCORED:
            totals.scored += 1
            totals.spectra += result.spectra
            totals.flagged += result.flagged
            totals.eligible += result.eligible
        elif result.state == CURRENT:
            totals.current += 1
            record = self._records.get(result.name)
            if record is None or record.last.state not in (SCORED, CURRENT):
                self._write(Event(CURRENT, result.name, result.spectra))
            else:
                totals.flagged += record.last.flagged
                totals.eligible += record.last.eligible
        else:
            totals.failures[result.name] = result.message
            logger.error("%s: %s", result.name, result.message)
        self._progress.ended(result)

        self._unreachable = self._unreachable + 1 if result.unreachable else 0
        if self._unreachable >= _SILENT * self._window:
            self._fatal = self._fatal or (
                f"{self._unreachable} petals in a row could not be fetched; the last time: "
                f"{result.message}; run again when the server answers"
            )

    def _recover(self, lost: Sequence[tuple[PetalTask, BaseException]]) -> None:
        """Submit again what was lost with a process, or set it apart."""
        before = {task.name: self._kills(task) for task, _ in lost}
        self._records = read_records(read_events(self._folder))
        begun = [task.name for task, _ in lost if self._kills(task) > before[task.name]]
        reason = f"{type(lost[0][1]).__name__}: {lost[0][1]}"
        logger.warning(
            "a process has ended in the midst of %s (%s)", ", ".join(begun) or "no petal", reason
        )

        self._barren = 0 if begun else self._barren + 1
        if self._barren >= _BARREN:
            self._fatal = f"processes end before they begin a petal ({reason}); check them"
        # What was not begun comes first.
        for task, _ in reversed(lost):
            if self._kills(task):
                self._enqueue(task)
            else:
                self._waiting[0].appendleft(task)

    def _enqueue(self, task: PetalTask) -> None:
        """Let a petal wait, or set it apart."""
        kills = self._kills(task)
        if kills < KILLS or _at_a_time(kills - 1, self._records[task.name].window) > 1:
            self._waiting[kills].append(task)
            return

        message = f"{kills} processes have ended in its midst; see {task.log}"
        if self._records[task.name].last.state != SET_APART:
            self._write(Event(SET_APART, task.name, message=message))
            logger.error("%s is set apart: %s", task.name, message)
        self.totals.set_apart[task.name] = message
        self._progress.omit(task.name, failed=True)

    def _forgive(self) -> None:
        """Let the petals that are set apart be tried again."""
        for name, record in self._records.items():
            if record.last.state == SET_APART:
                self._write(Event(AGAIN, name))
        self._records = read_records(read_events(self._folder))

    def _kills(self, task: PetalTask) -> int:
        record = self._records.get(task.name)
        return 0 if record is None else record.begun

    def _finish(self) -> None:
        """Wait for the petals in progress; those that are not begun are not scored."""
        for future in list(self._in_progress):
            # Parsl's cannot be cancelled.
            with contextlib.suppress(NotImplementedError):
                future.cancel()
        while self._in_progress:
            self._record()

    def _write(self, event: Event) -> None:
        try:
            self._journal.write(event)
        except OSError as error:
            raise OutcropError(
                f"{self._folder} cannot be written to: {error.strerror or error}; free space or "
                "raise the quota, and run again"
            ) from error


def add_parser(commands: _Commands) -> None:
    """Add the command ``run``."""
    run = commands.add_parser(
        "run",
        help="score the petals of a plan",
        description=__doc__,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    run.add_argument("plan", metavar="PLAN", type=Path, help="ECSV file, as `plan` writes it")
    run.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="of the tables"
    )
    run.add_argument("--model", required=True, help="bundle folder, or a tag of the model store")
    run.add_argument("--root", help="folder or address of the release, in place of the plan's")
    run.add_argument(
        "--executor",
        default="processes",
        metavar="E",
        help=f"{NAMES}; default: processes, one for each core",
    )

    run.add_argument("--explain", action="store_true", help="explain the flagged spectra")
    run.add_argument("--again", action="store_true", help="also try the petals that were set apart")
    run.add_argument(
        "--allow-mismatch",
        action="store_true",
        help="accept redrock files of which fewer than half of the rows have a spectrum",
    )
    run.add_argument(
        "--no-noise-correction",
        dest="noise_correction",
        action="store_false",
        help="take the noise as reported, not as the petals' sky fibers show it",
    )
    run.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from model_store.bundle import Bundle
    from model_store.registry import resolve

    plan = Plan.read(options.plan, options.root)
    folder = resolve(options.model).absolute()
    bundle = Bundle.open(folder)
    manifest = bundle.manifest
    warn_of_other_noise(
        ModelIdentity(manifest.name, manifest.version, bundle.sha256),
        manifest.noise_correction,
        options.noise_correction,
    )
    scoring = ScoringOptions(
        str(folder),
        bundle.sha256,
        options.noise_correction,
        options.explain,
        options.allow_mismatch,
    )
    stop = threading.Event()
    with stopped_by_signals(stop.set) as caught, open_engine(options.executor) as engine:
        totals = score_release(
            plan,
            engine.executor,
            options.output,
            scoring,
            window=2 * engine.workers,
            again=options.again,
            stop=stop,
        )
    print(totals)
    if totals.eligible:
        print(FlaggedRows(totals.flagged, totals.eligible, manifest.p_level).text())
    show_failures({FAILED: totals.failures, SET_APART: totals.set_apart})
    if caught:
        raise KeyboardInterrupt(caught[0])
    return 0 if totals.complete else 1


def _absolute(address: str) -> str:
    """Return an address for processes in any folder."""
    return address if is_remote(address) else os.path.abspath(address)  # noqa: PTH100


def _at_a_time(kills: int, window: int) -> int:
    """Return how many petals may be in progress with one that has killed processes.

    The window of the run for the first two tries, then its square root, the square root of that...,
    and in the end 1. Of a window of 2,500 these are 50, 7 and 1: petals that were lost with a node
    do not wait for each other, and one that kills is found after five losses, alone.
    """
    if kills <= 1:
        return window
    fewer = math.isqrt(_at_a_time(kills - 1, window))
    return fewer if fewer > _FEW else 1
