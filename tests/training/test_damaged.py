"""A damaged petal is left out by name; many end the command, on a line of their own."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from outcrop import Petal, find_petals
from training import TrainingError
from training.damaged import DamagedPetal, check_damaged, reading
from training.model.cache import cache_root
from training.model.config import load_config
from training.model.dataset import read_sample

pytestmark = pytest.mark.long

Command = Callable[..., CompletedProcess[str]]


def truncate(petal: Petal, folder: Path, name: str) -> Path:
    """Write a copy of a petal whose coadd is cut off, under the name of another petal."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(petal.redrock, folder / f"redrock-{name}.fits")
    coadd = folder / f"coadd-{name}.fits"
    coadd.write_bytes(petal.coadd.read_bytes()[:200_000])
    return coadd


def seen(stderr: str) -> list[str]:
    """Return the lines as a terminal shows them: a carriage return starts the line again."""
    return [line.rpartition("\r")[2] for line in stderr.split("\n")]


def test_a_truncated_petal_is_named_on_a_line_of_its_own_and_left_out(
    bundle: Path, sky: Path, tmp_path: Path, command: Command
) -> None:
    coadd = truncate(find_petals(sky)[0], tmp_path / "sky", "5-77-thru20210101")
    # Enough of its spectra were not trained on.
    shutil.copytree(sky, tmp_path / "sky", dirs_exist_ok=True)
    output = tmp_path / "own"
    done = command("-m", "training", "calibrate", bundle, tmp_path / "sky", "--output", output)

    assert done.returncode == 0, done.stderr
    lines = seen(done.stderr)
    (named,) = [line for line in lines if str(coadd) in line]
    assert named.startswith(f"petal left out: {coadd}")
    assert "1 of 5 petals are damaged and left out" in lines
    assert output.is_dir()


def test_a_fit_counts_the_petals_that_it_left_out_in_its_report(
    sky: Path, tiny: Path, tmp_path: Path, command: Command
) -> None:
    shutil.copytree(sky, tmp_path / "sky")
    coadd = truncate(find_petals(sky)[0], tmp_path / "sky", "5-77-thru20210101")
    output = tmp_path / "model"
    done = command("-m", "training", "fit", tmp_path / "sky", "--output", output, "--config", tiny)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "model-report" / "report.md").read_text()
    assert f"Damaged petals that were left out: 1.\n\n- {coadd}" in report
    assert "| rows | 2000 |" in report


def test_many_truncated_petals_end_the_command_with_one_line(
    bundle: Path, sky: Path, odd_sky: Path, tmp_path: Path, command: Command
) -> None:
    shutil.copytree(odd_sky, tmp_path / "sky")
    for number in range(2):
        truncate(find_petals(sky)[0], tmp_path / "sky", f"{number}-77-thru20210101")
    output = tmp_path / "own"
    done = command("-m", "training", "calibrate", bundle, tmp_path / "sky", "--output", output)

    assert done.returncode == 1
    last = done.stderr.split("\n")[-2]
    assert last.startswith("outcrop: error: 2 of 3 petals are damaged")
    assert "Traceback" not in done.stderr
    assert not output.exists()


def test_the_sample_is_that_of_the_other_petals(sky: Path, tiny: Path, tmp_path: Path) -> None:
    config, petal = load_config(tiny), find_petals(sky)[0]
    truncate(petal, tmp_path / "first", "0-77-thru20210101")
    whole = read_sample([sky], config, cache_root())
    rest = read_sample([tmp_path, sky], config, cache_root())
    assert (rest.key, rest.tiles, rest.counts) == (whole.key, whole.tiles, whole.counts)
    assert whole.damaged == ()
    assert len(rest.damaged) == 1


def test_files_that_vanish_are_damage_too(petal: Petal, tmp_path: Path) -> None:
    absent = Petal(tmp_path / "coadd-1.fits", tmp_path / "redrock-1.fits")
    with pytest.raises(DamagedPetal, match=r"coadd-1\.fits .*No such file"), reading(absent):
        absent.coadd.stat()
    with reading(petal):
        petal.coadd.stat()


@pytest.mark.parametrize(("damaged", "petals"), [(0, 1), (1, 2), (1, 8), (2, 40), (5, 100)])
def test_one_or_up_to_one_in_twenty_may_be_damaged(damaged: int, petals: int) -> None:
    check_damaged(["bad"] * damaged, petals)


@pytest.mark.parametrize(("damaged", "petals"), [(1, 1), (2, 2), (2, 39), (6, 100)])
def test_more_may_not(damaged: int, petals: int) -> None:
    with pytest.raises(TrainingError, match=f"{damaged} of {petals} petals are damaged"):
        check_damaged(["bad"] * damaged, petals)
