"""A release of 200 petals, tiles and healpix, bright and dark, on each engine: `make test-release`.

On each, one process is killed in between. The catalogues made of the tables are the same too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from benchmarks.engines import ENGINES, run_command, started
from release import __main__
from release.journal import SCORED, read_events
from tests.release.engines import kill_one, run, tables
from training.sky.petals import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

PETALS, SPECTRA = 200, 20


@pytest.fixture(scope="module")
def planned(once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(folder: Path) -> None:
        layouts = ("tiles", "healpix")
        simulate(folder, PETALS // 2, seed=5, anomalies=0.05, layouts=layouts, fibers=SPECTRA)

    root = once("whole_release", make)
    path = tmp_path_factory.mktemp("plan") / "plan.ecsv"
    assert __main__.main(["plan", "--tree", str(root), "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def scored(planned: Path, bundle: Path, once: Callable[..., Path]) -> Path:
    """The folder into which one process scored the release."""

    def score(output: Path) -> None:
        done = run("processes:1", planned, "--model", bundle, "--output", output)
        assert done.returncode == 0, done.stderr

    return once("whole_release_scored", score)


@pytest.mark.parametrize("engine", ENGINES)
def test_whole_release_is_the_same_from_every_engine(
    engine: str, planned: Path, bundle: Path, scored: Path, tmp_path: Path
) -> None:
    output, log = tmp_path / "tables", tmp_path / "run.log"
    arguments = (planned, "--model", bundle, "--output", output)

    with ENGINES[engine](tmp_path) as executor:
        with started(run_command(executor, *arguments), log) as process:
            kill_one(output)
            status = process.wait(1200)
        if engine == "mpi":
            assert status != 0
            done = run(executor, *arguments)
            assert done.returncode == 0, done.stderr
        else:
            assert status == 0, log.read_text()

    petals = [event.petal for event in read_events(output) if event.state == SCORED]
    assert len(petals) == len(set(petals)) == PETALS
    assert tables(output) == tables(scored)

    one, other = (
        _catalogue(folder, planned, tmp_path / f"vac-{folder.name}") for folder in (scored, output)
    )
    assert len(one) == PETALS * SPECTRA
    # As text: NaN is not equal to NaN.
    assert list(map(repr, one)) == list(map(repr, other))


def _catalogue(scored: Path, planned: Path, output: Path) -> list[dict[str, Any]]:
    """Collect tables; return the catalogue's rows."""
    command = ["collect", scored, "--plan", planned, "--output", output]
    assert __main__.main([*map(str, command), "--specprod", "simulated"]) == 0
    return ds.dataset(output / "v1.0" / "parquet", partitioning="hive").to_table().to_pylist()
