"""A run scores every petal once, whatever happens to files, disk and folder."""

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Collection
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from model_store.bundle import Bundle, Content, write_bundle
from outcrop import FolderInUse, InputError, OutcropError
from outcrop.night.folder_lock import locked
from outcrop.plan import Plan, PlannedPetal
from release.__main__ import main
from release.journal import (
    BEGUN,
    ENDED,
    SCORED,
    SET_APART,
    Event,
    Journal,
    read_events,
    read_records,
)
from release.petal import PetalResult, PetalTask, ScoringOptions
from release.run import Totals, score_release
from tests.outcrop_sdk.file_server import FileServer, send, works
from tests.release.conftest import SPECTRA, TILE, content, tables

Score = Callable[..., Totals]


def coadd(plan: Plan, number: int) -> Path:
    return Path(plan.address(plan.petals[number].coadd))


def test_every_petal_has_a_table_below_the_output(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    output = tmp_path / "new" / "out"
    totals = score(plan, output, options)
    assert (totals.scored, totals.current, totals.waiting) == (6, 0, 0)
    assert totals.spectra == 6 * SPECTRA
    assert totals.complete
    assert sorted(tables(output)) == [
        f"{TILE}/outliers-{number}-80613-thru20210324.fits" for number in range(6)
    ]
    assert (output / ENDED).exists()
    for number, petal in enumerate(plan.petals):
        rows: Any = fits.getdata(output / sorted(tables(output))[number], "OUTLIERS")
        redrock: Any = fits.getdata(plan.address(petal.redrock), "REDSHIFTS")
        np.testing.assert_array_equal(rows["TARGETID"], redrock["TARGETID"])


def test_a_second_run_scores_nothing_but_what_has_changed(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    score(plan, tmp_path / "out", options)
    before = tables(tmp_path / "out")
    again = score(plan, tmp_path / "out", options)
    assert (again.scored, again.current) == (0, 6)
    assert tables(tmp_path / "out") == before

    os.utime(coadd(plan, 2))
    changed = score(plan, tmp_path / "out", options)
    assert (changed.scored, changed.current) == (1, 5)
    other = score(plan, tmp_path / "out", replace(options, noise_correction=False))
    assert other.scored == 6


def test_the_rows_of_a_target_in_two_petals_are_both_kept(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    for name in (plan.petals[5].coadd, plan.petals[5].redrock):
        source = plan.address(name.replace("-5-", "-4-"))
        shutil.copy(source, plan.address(name))
    score(plan, tmp_path / "out", options)
    rows: list[Any] = [
        fits.getdata(tmp_path / "out" / TILE / f"outliers-{number}-80613-thru20210324.fits", 1)
        for number in (4, 5)
    ]
    assert rows[0].tobytes() == rows[1].tobytes()
    assert len(rows[0]) == SPECTRA


def test_damaged_and_missing_files_fail_by_name_and_the_others_are_scored(
    plan: Plan,
    options: ScoringOptions,
    score: Score,
    made_release: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = coadd(plan, 0).read_bytes()
    coadd(plan, 0).write_bytes(whole[: len(whole) // 2])
    coadd(plan, 1).write_bytes(bytes(len(whole)))
    coadd(plan, 2).unlink()
    Path(plan.address(plan.petals[3].redrock)).write_text("no FITS")

    totals = score(plan, tmp_path / "out", options)
    assert (totals.scored, totals.waiting) == (2, 0)
    assert not totals.complete
    assert sorted(totals.failures) == [petal.coadd for petal in plan.petals[:4]]
    for number in range(3):
        assert str(coadd(plan, number)) in totals.failures[plan.petals[number].coadd]
        assert plan.petals[number].coadd in caplog.text
    assert "redrock-3" in totals.failures[plan.petals[3].coadd]
    assert "does not exist" in totals.failures[plan.petals[2].coadd]

    # With files that are whole, the failures are scored, and only they.
    before = tables(tmp_path / "out")
    shutil.copytree(made_release, plan.root, dirs_exist_ok=True)
    os.utime(coadd(plan, 4), ns=(1, 1))
    again = score(plan, tmp_path / "out", options)
    assert again.complete
    assert again.scored >= 4
    assert len(before) == 2


def test_a_full_disk_stops_the_run_with_one_sentence(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    # So that only the tables are larger than the limit.
    score(plan, tmp_path / "warm", options)
    size = min(path.stat().st_size for path in (tmp_path / "warm").rglob("outliers-*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, limits[1]))
    try:
        with pytest.raises(OutcropError) as caught:
            score(plan, output, options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    message = str(caught.value)
    assert message.startswith(f"on {socket.gethostname()}: {output}/{TILE}/outliers-")
    assert "cannot be written: [Errno 27] File too large" in message
    assert message.endswith("free space or raise the quota, and run again")
    assert message.count("\n") == 0
    assert tables(output) == {}
    assert list(output.rglob("*.tmp")) == []
    records = read_records(read_events(output))
    assert len(records) < 6, "the run has gone on"
    assert {record.begun for record in records.values()} == {0}

    assert score(plan, output, options).complete


@pytest.fixture
def afar(plan: Plan, secure: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan of the same files on a server."""
    monkeypatch.setenv("OUTCROP_REMOTE_CACHE", str(tmp_path / "cache"))
    for petal in plan.petals:
        for name in (petal.coadd, petal.redrock):
            secure.add(f"/iron/{name}", Path(plan.address(name)).read_bytes())
    return Plan(f"{secure.url}/iron", plan.petals)


def busy(handler: BaseHTTPRequestHandler) -> bool:
    """Answer as a server that is not worth waiting for."""
    return send(handler, 503, b"", Retry_After="3600")


def test_a_server_that_is_down_ends_the_run_with_one_sentence(
    afar: Plan, options: ScoringOptions, score: Score, secure: FileServer, tmp_path: Path
) -> None:
    secure.faults = [busy] * 100
    down = r"^2 petals in a row could not be fetched; .*redrock-1-.*: 503 .*; run again when"
    with ThreadPoolExecutor(1) as executor, pytest.raises(OutcropError, match=down):
        score_release(afar, executor, tmp_path / "out", options, window=1)
    assert len(read_records(read_events(tmp_path / "out"))) == 2

    secure.faults.clear()
    assert score(afar, tmp_path / "out", options).complete


def test_a_server_that_gives_some_petals_is_not_down(
    afar: Plan, options: ScoringOptions, secure: FileServer, tmp_path: Path
) -> None:
    # Every second petal is not there, or is answered for when it is too late.
    for petal in afar.petals[::2]:
        del secure.files[f"/iron/{petal.redrock}"]
    secure.faults = [works, busy, works, busy]
    with ThreadPoolExecutor(1) as executor:
        totals = score_release(afar, executor, tmp_path / "out", options, window=1)
    assert (totals.scored, totals.waiting, len(totals.failures)) == (1, 0, 5)


def test_a_full_disk_of_the_cache_is_named(
    afar: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    # Tables would be smaller.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(OutcropError) as caught:
            score(afar, tmp_path / "out", options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    message = str(caught.value)
    assert message.startswith(f"on {socket.gethostname()}: {tmp_path}/cache/")
    assert "OUTCROP_REMOTE_CACHE names another folder for the cache" in message
    assert str(tmp_path / "out") not in message
    assert score(afar, tmp_path / "out", options).complete


def test_a_folder_in_which_a_run_works_is_refused(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    with (
        locked(tmp_path, "run"),
        pytest.raises(FolderInUse, match=f"another run works on .*: process {os.getpid()} on"),
    ):
        score(plan, tmp_path, options)
    assert tables(tmp_path) == {}


def test_a_root_that_is_not_there_is_named_once(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    # As of a file system that is not mounted.
    with pytest.raises(InputError, match=r"/nowhere, the root of the plan, .*; --root names"):
        score(replace(plan, root="/nowhere"), tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_named(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="out cannot be a folder"):
        score(plan, tmp_path / "out", options)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_stopped_run_ends_what_is_begun_and_is_continued(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    output, stop = tmp_path / "out", threading.Event()

    class StoppingAfterTwo(ThreadPoolExecutor):
        """An executor at whose second task the user interrupts the run."""

        def submit(self, *arguments: Any, **options: Any) -> Future[Any]:
            future = super().submit(*arguments, **options)
            if self._work_queue.qsize():
                stop.set()
            return future

    with StoppingAfterTwo(1) as executor:
        totals = score_release(plan, executor, output, options, window=3, stop=stop)
    assert 1 <= totals.scored <= 3
    assert totals.waiting == 6 - totals.scored
    assert len(tables(output)) == totals.scored
    before = tables(output)
    assert score(plan, output, options).scored == 6 - len(before)
    assert tables(output).items() > before.items()


def test_largest_petals_are_submitted_first_and_few_at_a_time(
    plan: Plan, options: ScoringOptions, tmp_path: Path
) -> None:
    sizes = [3, 1, 6, 2, -1, 5]
    petals = [replace(p, size=size) for p, size in zip(plan.petals, sizes, strict=True)]
    given: list[str] = []
    waiting: list[int] = []

    class Recording(ThreadPoolExecutor):
        """An executor that keeps the order of its tasks."""

        def submit(self, fn: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
            (task,) = arguments
            given.append(task.name)
            waiting.append(self._work_queue.qsize())
            return super().submit(fn, *arguments, **options)

    with Recording(1) as executor:
        score_release(Plan(plan.root, tuple(petals)), executor, tmp_path, options, window=2)
    order = sorted(range(6), key=lambda number: -sizes[number])
    assert given == [plan.petals[number].coadd for number in order]
    assert max(waiting) <= 1


def test_a_petal_that_was_begun_three_times_is_set_apart_until_it_is_asked_for(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    guilty, suspect = plan.petals[1].coadd, plan.petals[2].coadd
    journal = Journal(tmp_path)
    for name in (guilty, guilty, suspect, suspect, guilty):
        journal.write(Event(BEGUN, name))

    totals = score(plan, tmp_path, options)
    assert list(totals.set_apart) == [guilty]
    assert "3 processes have ended in its midst" in totals.set_apart[guilty]
    assert (totals.scored, totals.waiting, totals.complete) == (5, 0, False)
    assert read_records(read_events(tmp_path))[guilty].last.state == SET_APART
    assert score(plan, tmp_path, options).set_apart.keys() == {guilty}

    again = score(plan, tmp_path, options, again=True)
    assert again.complete
    assert (again.scored, again.current) == (1, 5)
    assert score(plan, tmp_path, options).complete


def test_petals_that_ended_two_processes_are_scored_alone_and_last(
    plan: Plan, options: ScoringOptions, tmp_path: Path
) -> None:
    once, twice = plan.petals[0].coadd, {plan.petals[1].coadd, plan.petals[2].coadd}
    for name in (once, *twice, *twice):
        Journal(tmp_path).write(Event(BEGUN, name))
    with ThreadPoolExecutor(2) as executor:
        score_release(plan, executor, tmp_path, options, window=3)

    events = [event for event in read_events(tmp_path) if event.petal][5:]
    begun = [event.petal for event in events if event.state == BEGUN]
    assert set(begun[-2:]) == twice
    # Two threads race for the last two of the others.
    assert once in begun[-4:-2]
    # One ends before the other begins, and after all others.
    assert [event.state for event in events[-4:]] == [BEGUN, "scored"] * 2


class Job(Executor):
    """An engine of which all processes end where one does, as an MPI job; without files.

    Parameters
    ----------
    output : Path
    deadly : str
        A petal that ends its process.
    lost : collection of int
        Rounds in which a node is lost.
    ends : bool
        Whether the job is over then, as the run of an MPI job is too.

    Attributes
    ----------
    rounds : list of int
        Petals that were in progress at a time.
    losses : int
    """

    def __init__(
        self, output: Path, deadly: str = "", lost: Collection[int] = (), ends: bool = False
    ) -> None:
        self._journal, self._deadly, self._lost, self._ends = Journal(output), deadly, lost, ends
        self._waiting: dict[str, Future[PetalResult]] = {}
        self._lock = threading.Lock()
        self._timer = threading.Timer(0, self._round)
        self.rounds: list[int] = []
        self.losses = 0

    def submit(self, fn: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        if self._ends and self.losses:
            raise BrokenExecutor("the job is over")
        (task,) = arguments
        future: Future[Any] = Future()
        with self._lock:
            self._waiting[task.name] = future
            # Once the run submits no more.
            self._timer.cancel()
            self._timer = threading.Timer(0.1, self._round)
            self._timer.start()
        return future

    def _round(self) -> None:
        with self._lock:
            tasks, self._waiting = self._waiting, {}
        for name in tasks:
            self._journal.write(Event(BEGUN, name))

        self.rounds.append(len(tasks))
        lost = self._deadly in tasks or len(self.rounds) in self._lost
        self.losses += lost
        for name, future in tasks.items():
            if lost:
                future.set_exception(BrokenExecutor("a rank was killed"))
            else:
                self._journal.write(Event(SCORED, name))
                future.set_result(PetalResult(name, SCORED, 1))


def large_plan(petals: int, root: Path) -> Plan:
    names = (f"{number}-thru20210324.fits" for number in range(petals))
    return Plan(str(root), tuple(PlannedPetal(f"coadd-{n}", f"redrock-{n}") for n in names))


def test_petals_that_were_lost_with_two_nodes_do_not_wait_for_each_other(
    options: ScoringOptions, tmp_path: Path
) -> None:
    job = Job(tmp_path, lost=(1, 2))
    totals = score_release(large_plan(36, tmp_path), job, tmp_path, options, window=36)
    assert totals.scored == 36
    assert job.rounds[:2] == [36, 36]
    # In six rounds where this process is not held up; at most six petals in each.
    assert len(job.rounds) <= 2 + 18
    assert max(job.rounds[2:]) <= 6


@pytest.mark.parametrize("windows", [[64], [64, 4, 2], [4, 64, 64, 9]])
@pytest.mark.parametrize("ends", [False, True])
def test_a_petal_that_ends_every_job_is_set_apart_alone(
    options: ScoringOptions, tmp_path: Path, ends: bool, windows: list[int]
) -> None:
    plan, losses = large_plan(64, tmp_path), 0
    deadly = plan.petals[17].coadd
    for window in (*windows, *[windows[-1]] * 10):
        job = Job(tmp_path, deadly, ends=ends)
        with contextlib.suppress(OutcropError):
            totals = score_release(plan, job, tmp_path, options, window=window)
            break
        losses += job.losses
    else:
        pytest.fail("it was never found")

    assert list(totals.set_apart) == [deadly]
    assert totals.waiting == 0
    assert losses + job.losses <= 5


def test_a_pool_that_is_broken_ends_the_run_with_the_reason(
    plan: Plan, options: ScoringOptions, tmp_path: Path
) -> None:
    executor: Executor = ProcessPoolExecutor(
        1, get_context("spawn"), initializer=os._exit, initargs=(1,)
    )
    with executor, pytest.raises(OutcropError, match=r"the executor cannot go on: .*; run again"):
        score_release(plan, executor, tmp_path, options)
    assert tables(tmp_path) == {}


def test_a_model_that_was_replaced_ends_the_run(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    other = replace(options, sha256="ab" * 32)
    with pytest.raises(OutcropError, match=r"cannot be opened on .*the run began with abababab"):
        score(plan, tmp_path, other)
    assert tables(tmp_path) == {}


def test_a_machine_that_does_not_reproduce_the_canary_ends_the_run(
    plan: Plan, tmp_path: Path, bundle: Path, score: Score
) -> None:
    source = Bundle.open(bundle)
    files: dict[str, Content] = {name: source.bytes(name) for name in source.manifest.files}
    arrays = source.arrays("canary.npz")
    files["canary.npz"] = {**arrays, "wmse": arrays["wmse"].astype(np.float32) * 1.01}
    other = write_bundle(tmp_path / "other", source.manifest, files)

    with pytest.raises(OutcropError, match=r"cannot be opened on .*canary \(wmse or nof differ by"):
        score(plan, tmp_path / "outliers", ScoringOptions(str(other.path), other.sha256))
    assert not list((tmp_path / "outliers").rglob("outliers-*.fits"))


def test_a_log_of_each_petal_says_what_happened(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    coadd(plan, 0).write_bytes(b"SIMPLE")
    score(plan, tmp_path, options)
    logs = sorted((tmp_path / "run" / "logs" / TILE).iterdir())
    assert [log.name for log in logs] == [f"coadd-{n}-80613-thru20210324.log" for n in range(6)]
    failed, scored = logs[0].read_text(), logs[1].read_text()
    assert f"process {os.getpid()} on " in failed
    assert str(coadd(plan, 0)) in failed
    assert "\nfailed: " in failed
    assert f"\n{SPECTRA} spectra, " in scored


def test_what_a_killed_process_left_of_a_table_is_removed(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    table = PetalTask(plan.petals[0].coadd, "", "", str(tmp_path), options).table
    table.parent.mkdir(parents=True)
    remains = table.with_name(f".{table.name}.0123.tmp")
    remains.write_bytes(b"half a table")
    Journal(tmp_path).write(Event(BEGUN, plan.petals[0].coadd, process=killed_process()))
    assert score(plan, tmp_path, options).complete
    assert not remains.exists()


@pytest.mark.parametrize("host", [socket.gethostname(), "another.host"])
def test_what_a_process_that_may_live_is_writing_is_kept(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path, host: str
) -> None:
    table = PetalTask(plan.petals[0].coadd, "", "", str(tmp_path), options).table
    table.parent.mkdir(parents=True)
    written = table.with_name(f".{table.name}.0123.tmp")
    written.write_bytes(b"half a table")
    # As of a worker of dask that was only lost from sight: the parent of this process lives.
    living = Event(BEGUN, plan.petals[0].coadd, process=f"{host}:{os.getppid()}")
    Journal(tmp_path).write(living)
    assert score(plan, tmp_path, options).complete
    assert written.read_bytes() == b"half a table"


def killed_process() -> str:
    """A process of this host that has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return f"{socket.gethostname()}:{ended.pid}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "threads"], "there is no executor 'threads'"),
        (["--executor", "processes:0"], "'0' is no number of processes"),
        (["--root", "ftp://host/tree"], "ftp://host/tree"),
    ],
)
def test_wrong_arguments_are_named_in_one_line(
    plan: Plan,
    bundle: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan.write(tmp_path / "plan.ecsv")
    given = ["run", str(tmp_path / "plan.ecsv"), "--output", str(tmp_path / "out")]
    assert main([*given, "--model", str(bundle), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_does_not_exist_is_named(
    plan: Plan, command: Callable[..., Any], tmp_path: Path
) -> None:
    plan.write(tmp_path / "plan.ecsv")
    given = ("-m", "release", "run", tmp_path / "plan.ecsv", "--output", tmp_path / "out")
    done = command(*given, "--model", "nowhere")
    assert done.returncode == 1
    assert "nowhere is neither a bundle's folder nor a tag of the model store" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_tables_are_the_same_with_and_without_neighbours_in_the_process(
    plan: Plan, options: ScoringOptions, score: Score, tmp_path: Path
) -> None:
    score(plan, tmp_path / "two", options)
    with ThreadPoolExecutor(1) as executor:
        score_release(plan, executor, tmp_path / "one", options)
    for name in tables(tmp_path / "one"):
        assert content(tmp_path / "one" / name) == content(tmp_path / "two" / name)


def test_a_wrong_level_of_the_log_is_an_error_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("DESI_LOGLEVEL", "loud")
    assert main(["status", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("outcrop: error: DESI_LOGLEVEL is 'loud'; expected one of debug")


def test_a_model_of_other_noise_is_warned_of_once(
    plan: Plan, bundle: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    plan.write(tmp_path / "plan.ecsv")
    given = ("-m", "release", "run", tmp_path / "plan.ecsv", "--output", tmp_path / "out")
    done = command(*given, "--model", bundle, "--executor", "processes:2", "--no-noise-correction")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("score without --no-noise-correction") == 1
