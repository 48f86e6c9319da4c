"""Outputs are checked before any work, and nothing is replaced unasked."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from astropy.io import fits

from outcrop import find_petals
from tests.conftest import ROOT
from training.outputs import OutputError, check_file, check_folder, check_new

pytestmark = pytest.mark.long

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def full(tmp_path: Path) -> Path:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "OUT", "--petals", "1", "--seed", "1"],
        ["fit", "nowhere", "--output", "OUT"],
        ["calibrate", "nowhere", "nowhere", "--output", "OUT"],
        ["evaluate", "nowhere", "nowhere", "--json", "OUT"],
        ["figures", "nowhere", "nowhere", "--output", "OUT"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_bad_output_gives_one_line_before_anything_is_imported(
    arguments: list[str], full: Path
) -> None:
    below_a_file = full / "kept.txt" / "output"
    for output, reason in ((full, "full"), (below_a_file, "Not a directory")):
        given = [str(output) if word == "OUT" else word for word in arguments]
        code = (
            "import sys; from training.__main__ import main\n"
            f"status = main({given})\n"
            "sys.exit(99 if {'numpy', 'pydantic'} & set(sys.modules) else status)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(f"outcrop: error: {output} ")
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
    assert [path.name for path in full.iterdir()] == ["kept.txt"]


def test_outputs_that_can_be_made_pass_and_leave_nothing(full: Path) -> None:
    empty = full / "empty"
    empty.mkdir()
    check_new(full / "a" / "b")
    check_folder(full / "a" / "b", overwrite=False)
    check_folder(empty, overwrite=False)
    check_folder(full, overwrite=True)
    check_file(full / "kept.txt")
    check_file(full / "a" / "numbers.json")
    assert {path.name for path in full.iterdir()} == {"kept.txt", "empty"}
    assert not list(empty.iterdir())


def test_a_dangling_link_is_not_free(full: Path) -> None:
    (full / "link").symlink_to(full / "absent")
    with pytest.raises(OutputError, match="exists already"):
        check_new(full / "link")


def test_simulate_says_where_it_wrote_and_replaces_a_sky_only_when_told(
    tmp_path: Path, command: Command
) -> None:
    sky = tmp_path / "sky"
    simulate = ("-m", "training", "simulate", sky, "--petals")
    done = command(*simulate, "2", "--seed", "1")
    assert done.stdout == f"sky: 2 petals and truth.csv in {sky}\n", done.stderr
    first = {path for path in sky.rglob("*.fits")}
    assert len(first) == 4

    done = command(*simulate, "1", "--seed", "2")
    assert done.returncode == 2
    assert "give --overwrite" in done.stderr
    assert {path for path in sky.rglob("*.fits")} == first

    # Petals of the earlier sky would not be in the new truth.
    done = command(*simulate, "1", "--seed", "2", "--overwrite")
    assert done.returncode == 0, done.stderr
    second = {path for path in sky.rglob("*.fits")}
    assert len(second) == 2
    assert not first & second


def test_a_sky_that_is_not_simulated_is_never_replaced(
    sky: Path, tmp_path: Path, command: Command
) -> None:
    shutil.copytree(sky, tmp_path / "sky")
    last = find_petals(tmp_path / "sky")[-1]
    with fits.open(last.coadd, mode="update") as hdus:
        primary: Any = hdus[0]
        del primary.header["SIMULATD"]
    files = {path.name for path in (tmp_path / "sky").rglob("*.*")}

    simulate = ("simulate", tmp_path / "sky", "--petals", "1", "--seed", "2", "--overwrite")
    done = command("-m", "training", *simulate)
    assert done.returncode == 1
    assert f"{last.coadd} is not of a simulated sky" in done.stderr
    assert {path.name for path in (tmp_path / "sky").rglob("*.*")} == files


def test_figures_say_how_many_they_wrote_and_where(
    bundle: Path, odd_sky: Path, tmp_path: Path, command: Command
) -> None:
    output = tmp_path / "figures"
    figures = ("-m", "training", "figures", bundle, odd_sky, "--output", output)
    done = command(*figures)
    count = len(list(output.glob("*.png")))
    assert done.stdout == f"figures: {count} pictures in {output}; open {output}/index.html\n"

    before = (output / "index.html").stat().st_mtime_ns
    done = command(*figures)
    assert (done.returncode, (output / "index.html").stat().st_mtime_ns) == (2, before)
    assert command(*figures, "--overwrite").returncode == 0
    assert (output / "index.html").stat().st_mtime_ns > before
