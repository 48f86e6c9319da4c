"""The batch script runs, with MPI's own commands in the place of Slurm's, and is a shell script."""

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.engines import ROOT
from outcrop import InputError
from outcrop.plan import Plan, PlannedPetal
from release import __main__
from release.journal import ENDED
from release.slurm import Estimate, estimate
from tests.release.conftest import plan_of
from tests.release.engines import tables

SHIFTER = ("--account", "desi", "--image", "docker:desihub/outcrop-release:0.1.0", "--rate", "1500")
# Of DR1: 28 million spectra.
WHOLE = Plan(
    "/global/cfs/cdirs/desi/public/dr1/spectro/redux/iron",
    tuple(
        PlannedPetal(f"coadd-{number}.fits", f"redrock-{number}.fits", spectra=1400)
        for number in range(20_000)
    ),
)


def write(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Return the script that the command writes."""
    assert __main__.main(["slurm", *map(str, arguments)]) == 0
    return capsys.readouterr().out


@pytest.fixture
def planned(made_release: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a plan.ecsv"
    plan_of(made_release).write(path)
    return path


def stand_in(folder: Path, name: str, line: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{line}\n")
    path.chmod(0o755)


def test_script_scores_a_plan_where_srun_starts_three_ranks(
    planned: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tables"
    script = write(capsys, *SHIFTER, "--", planned, "--model", bundle, "--output", output)
    place = tmp_path / "bin"
    place.mkdir()
    # srun's own options end where the container begins.
    stand_in(place, "srun", 'while [[ $1 == --* ]]; do shift; done; exec mpiexec -n 3 "$@"')
    stand_in(place, "shifter", 'shift 2; exec "$@"')

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{place}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "6 petals: 6 scored" in done.stdout
    assert len(tables(output)) == 6


@pytest.mark.parametrize(
    ("statuses", "calls"),
    [((0,), 1), ((1,), 1), ((137, 0), 2), ((9,), 1), ((137,) * 6, 6), ((75, 0), 2)],
)
def test_killed_ranks_and_nothing_else_are_started_again(
    statuses: tuple[int, ...],
    calls: int,
    planned: Path,
    bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = write(capsys, *SHIFTER, "--", planned, "--model", bundle, "--output", tmp_path / "out")
    place = tmp_path / "bin"
    place.mkdir()
    answers = " ".join(map(str, statuses))
    stand_in(
        place,
        "srun",
        f'echo >> {place}/calls; s=({answers}); exit "${{s[$(wc -l < {place}/calls) - 1]}}"',
    )
    stand_in(place, "sleep", "")

    done = subprocess.run(
        ["bash", "-c", script], env={"PATH": f"{place}:/usr/bin:/bin"}, check=False
    )

    assert done.returncode == statuses[-1]
    assert (place / "calls").read_text().count("\n") == calls


def test_a_run_that_ended_by_itself_is_not_started_again(
    planned: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, place = tmp_path / "out", tmp_path / "bin"
    script = write(capsys, *SHIFTER, "--", planned, "--model", bundle, "--output", output)
    place.mkdir()
    (output / "run").mkdir(parents=True)
    # Of an earlier run
    (output / ENDED).touch()
    # At first a rank is killed, then a petal fails: MPI kills the others.
    second = f"test $(wc -l < {place}/calls) = 2 && touch {output / ENDED}"
    stand_in(place, "srun", f"echo >> {place}/calls; {second}; exit 137")

    environment = {"PATH": f"{place}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], env=environment, check=False)
    assert done.returncode == 137
    assert (place / "calls").read_text().count("\n") == 2


def test_directives_are_those_of_a_cpu_node(
    planned: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = write(capsys, *SHIFTER, "--", planned, "--model", bundle, "--output", tmp_path / "out")
    lines = script.splitlines()
    directives = dict(
        line.removeprefix("#SBATCH --").split("=", 1)
        for line in lines
        if "#SBATCH" in line and "=" in line
    )

    assert lines[0] == "#!/bin/bash"
    assert directives["constraint"] == "cpu"
    assert directives["nodes"] == "1"
    assert directives["time"] == "00:10:00"
    assert directives["image"] == "docker:desihub/outcrop-release:0.1.0"
    assert directives["module"] == "mpich"
    # Slurm reads none after the first command.
    assert all(line.startswith("#") for line in lines[: lines.index("set -euo pipefail")])
    assert not any(line.startswith("#SBATCH") for line in lines[lines.index("set -euo pipefail") :])


def test_container_of_podman_sees_all_folders(
    planned: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "tables"
    arguments = ("--", planned, "--model", bundle, "--output", output)
    script = write(capsys, *SHIFTER, "--podman", *arguments)
    place = tmp_path / "bin"
    place.mkdir()
    stand_in(place, "srun", f'printf "%s\\n" "$@" > {place}/command')

    subprocess.run(["bash", "-c", script], env={"PATH": f"{place}:/usr/bin:/bin"}, check=True)

    command = (place / "command").read_text().splitlines()
    container = command[: command.index("python")]
    folders = [word.split(":")[1] for word in container if word.startswith("--volume=")]
    assert container[2:5] == ["podman-hpc", "run", "--rm"]
    assert container[-1] == "docker:desihub/outcrop-release:0.1.0"
    for path in (planned, bundle, output, Plan.read(planned).root, Path.cwd()):
        assert any(Path(path).is_relative_to(folder) for folder in folders)
    assert all(Path(folder).is_dir() for folder in folders)
    assert "#SBATCH --image" not in script


def test_more_nodes_are_asked_for_where_the_time_is_short() -> None:
    day, hour = (estimate(WHOLE, hours, 100.0, 1e9) for hours in (24, 1))

    assert (day.nodes, day.cost.spectra) == (1, 28_000_000)
    # In each of 127 processes; 12 bytes of each pixel at 1 GB/s; and a half more.
    needed = 1.5 * (28e6 / (127 * 100) + 28e6 * 12 * (2751 + 2326 + 2881) / 1e9)
    assert needed < day.seconds < needed + 900
    assert hour.nodes == 3
    assert hour.seconds <= 3600
    assert Estimate.of(WHOLE, 2, 100.0, 1e9).seconds > 3600


def test_time_that_no_number_of_nodes_keeps_is_refused() -> None:
    with pytest.raises(InputError, match=r"--hours is 0\.1; give more"):
        estimate(WHOLE, 0.1, 100.0, 1e9)
