"""A release on each engine: the same tables from all, also where a process is killed in between."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from release.journal import SCORED, read_events

from .engines import ENGINES, kill_one, run, run_command, started, tables, write_plan

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def plan(sky: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plan(sky, tmp_path_factory.mktemp("plan") / "plan.ecsv")


@pytest.fixture(scope="module")
def expected(plan: Path, bundle: Path, once: Callable[..., Path]) -> dict[str, bytes]:
    """The tables that one process makes."""

    def score(output: Path) -> None:
        done = run("processes:1", plan, "--model", bundle, "--output", output)
        assert done.returncode == 0, done.stderr

    return tables(once("scored", score))


@pytest.mark.parametrize("engine", ENGINES)
def test_tables_of_all_engines_are_identical(
    engine: str, plan: Path, bundle: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "output"

    with ENGINES[engine](tmp_path) as executor:
        done = run(executor, plan, "--model", bundle, "--output", output)

    assert done.returncode == 0, done.stderr
    assert len(expected) == 4
    assert tables(output) == expected


@pytest.mark.parametrize("engine", ["dask", "parsl"])
def test_petal_of_a_killed_worker_is_scored_by_another(
    engine: str, plan: Path, bundle: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "output"

    with ENGINES[engine](tmp_path) as executor:
        command = run_command(executor, plan, "--model", bundle, "--output", output)
        with started(command, tmp_path / "run.log") as process:
            kill_one(output)
            status = process.wait(120)

    assert status == 0, (tmp_path / "run.log").read_text()
    assert tables(output) == expected
    assert set(_scored(output).values()) == {1}


def test_killed_rank_ends_the_job_and_the_next_one_continues(
    plan: Path, bundle: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    arguments = (plan, "--model", bundle, "--output", output)

    with started(run_command("mpi", *arguments), tmp_path / "run.log") as process:
        killed = kill_one(output)
        assert process.wait(60) != 0
    before = _scored(output)
    done = run("mpi", *arguments)

    assert done.returncode == 0, done.stderr
    assert killed not in before
    assert tables(output) == expected
    assert set(_scored(output).values()) == {1}


def _scored(output: Path) -> Counter[str]:
    """How often each petal was scored."""
    return Counter(event.petal for event in read_events(output) if event.state == SCORED)
