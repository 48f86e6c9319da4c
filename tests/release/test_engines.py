"""A release on each engine: the same tables from all, also where a process is killed in between."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from benchmarks.engines import ENGINES, run_command, started, wait_for
from release.journal import SCORED, read_events
from tests.release.conftest import plan_of
from tests.release.engines import in_progress, kill_one, run, tables

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def planned(made_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.ecsv"
    plan_of(made_release).write(path)
    return path


@pytest.fixture(scope="module")
def expected(planned: Path, bundle: Path, once: Callable[..., Path]) -> dict[str, bytes]:
    """The tables that one process makes."""

    def score(output: Path) -> None:
        done = run("processes:1", planned, "--model", bundle, "--output", output)
        assert done.returncode == 0, done.stderr

    return tables(once("one_process", score))


@pytest.mark.parametrize("engine", ["dask", "parsl"])
def test_tables_are_the_same_though_a_worker_is_killed(
    engine: str, planned: Path, bundle: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "output"

    with ENGINES[engine](tmp_path) as executor:
        command = run_command(executor, planned, "--model", bundle, "--output", output)
        with started(command, tmp_path / "run.log") as process:
            kill_one(output)
            status = process.wait(200)

    assert status == 0, (tmp_path / "run.log").read_text()
    assert tables(output) == expected
    assert set(_scored(output).values()) == {1}


def test_tables_are_the_same_though_a_rank_is_killed_and_the_job_ends_with_it(
    planned: Path, bundle: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    arguments = (planned, "--model", bundle, "--output", output)

    with started(run_command("mpi", *arguments), tmp_path / "run.log") as process:
        killed = kill_one(output)
        assert process.wait(60) != 0
    before = _scored(output)
    done = run("mpi", *arguments)

    assert done.returncode == 0, done.stderr
    assert killed not in before
    assert tables(output) == expected
    assert set(_scored(output).values()) == {1}


@pytest.mark.slow
def test_lost_scheduler_ends_the_run_and_the_next_one_continues(
    planned: Path, bundle: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output, log = tmp_path / "output", tmp_path / "run.log"
    arguments = (planned, "--model", bundle, "--output", output)

    with (
        ENGINES["dask"](tmp_path) as executor,
        started(run_command(executor, *arguments), log) as process,
    ):
        wait_for(lambda: bool(in_progress(output)), pause=0.01)
        # It has named itself.
        scheduler = next(
            child for child in psutil.Process().children() if "scheduler" in child.cmdline()[0]
        )
        scheduler.kill()
        status = process.wait(100)

    assert status == 1
    assert "the connection to dask's scheduler is lost; run again" in log.read_text()
    assert run("processes:1", *arguments).returncode == 0
    assert tables(output) == expected


def _scored(output: Path) -> Counter[str]:
    """How often each petal was scored."""
    return Counter(event.petal for event in read_events(output) if event.state == SCORED)
