"""The command line makes and compares catalogues; what is wrong is said in one line."""

from pathlib import Path

import pytest

from outcrop.plan import Plan, PlannedPetal
from release.__main__ import main
from tests.release.collect.made_tables import HEALPIX, write_release


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    return write_release(tmp_path / "scores")


def test_a_release_is_collected_and_compared(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "vac"
    assert main(["collect", str(tables), "--output", str(output)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "10 rows of 4 tables, 9 targets"
    assert printed[1].startswith("2 of 9 eligible rows are flagged")
    assert printed[2].startswith("discoveries at a false discovery rate of 0.1: 2 of 8 targets")
    assert printed[-1] == f"{output}/v1.0"

    (tables / HEALPIX / "outliers-main-bright-10000.fits").unlink()
    more = ["--catalogue-version", "1.1", "--note", "less"]
    assert main(["collect", str(tables), "--output", str(output), *more]) == 0
    capsys.readouterr()
    two = [str(output / name) for name in ("v1.0", "v1.1")]
    assert main(["compare", *two, "--output", str(tmp_path / "comparison"), "--top", "2"]) == 0
    assert "6 in both, 4 in A only, 0 in B only" in capsys.readouterr().out


def test_the_plan_names_what_is_missing(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [path.relative_to(tables).as_posix() for path in tables.rglob("*.fits")]
    coadds = [name.replace("outliers", "coadd") for name in names] + ["lost/coadd-1.fits.gz"]
    petals = tuple(PlannedPetal(one, one.replace("coadd", "redrock")) for one in sorted(coadds))
    Plan("/somewhere", petals).write(tmp_path / "plan.ecsv")
    arguments = ["collect", str(tables), "--output", str(tmp_path / "vac")]
    arguments += ["--plan", str(tmp_path / "plan.ecsv")]
    assert main(arguments) == 1
    assert "lost/coadd-1.fits.gz" in capsys.readouterr().err
    assert not (tmp_path / "vac" / "v1.0").exists()

    assert main([*arguments, "--allow-missing"]) == 0
    assert "1 planned coadds without a table" in capsys.readouterr().out
    readme = (tmp_path / "vac" / "v1.0" / "README.md").read_text()
    assert "planned, but not scored: lost/coadd-1.fits.gz" in readme


@pytest.mark.parametrize(
    ("option", "value"),
    [("--catalogue-version", "../1"), ("--catalogue-version", "1"), ("--specprod", "a/../b")],
)
def test_names_of_folders_and_files_are_checked(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert main(["collect", str(tables), "--output", str(tmp_path / "vac"), option, value]) == 1
    assert f"error: {option} {value} is" in capsys.readouterr().err
    assert not (tmp_path / "vac").exists()
