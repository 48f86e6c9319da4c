"""The status of a release, after a run and while one is going on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from outcrop.night.folder_lock import locked
from outcrop.plan import Plan
from release.__main__ import main
from release.journal import BEGUN, FAILED, SCORED, Event, Journal, read_events, read_records
from release.petal import ScoringOptions
from release.run import Totals

Score = Callable[..., Totals]


def lines(text: str) -> dict[str, list[str]]:
    """The words after each state."""
    return {line[2:14].strip(): line[14:].split() for line in text.splitlines() if line[:2] == "  "}


def test_the_status_counts_what_a_run_has_done(
    plan: Plan,
    options: ScoringOptions,
    score: Score,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    redrock = Path(plan.address(plan.petals[3].redrock))
    content = redrock.read_bytes()
    redrock.write_bytes(content[:-1])
    score(plan, output, options)
    assert main(["status", str(output)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"6 petals of {plan.root}; no run is going on\n")
    assert lines(out) == {
        "scored": ["5", "100", "spectra"],
        "failed": ["1"],
        "set apart": ["0"],
        "cut off": ["0"],
        "waiting": ["0"],
    }
    assert " spectra/s" in out
    assert f"failed: {plan.petals[3].coadd}: " in err
    assert str(redrock) in err

    redrock.write_bytes(content)
    score(plan, output, options)
    assert main(["status", str(output)]) == 0
    out, err = capsys.readouterr()
    assert lines(out)["scored"] == ["6", "120", "spectra"]
    assert err == ""


def test_the_status_of_a_run_that_is_going_on(
    plan: Plan,
    options: ScoringOptions,
    score: Score,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    one = Plan(plan.root, plan.petals[:1])
    score(one, output, options)
    plan.write(output / "run" / "plan.ecsv", overwrite=True)
    Journal(output).write(Event(BEGUN, plan.petals[1].coadd))
    with locked(output, "run"):
        assert main(["status", str(output)]) == 1
    out = capsys.readouterr().out
    assert f"; runs in process {os.getpid()} on " in out
    assert lines(out)["in progress"] == ["1"]
    assert lines(out)["waiting"] == ["4"]
    assert " left\n" in out


def test_failures_are_listed_up_to_twenty_or_all(
    plan: Plan,
    options: ScoringOptions,
    score: Score,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    score(Plan(plan.root, plan.petals[:1]), output, options)
    names = [f"tiles/{number}/coadd-1.fits" for number in range(30)]
    many = [type(plan.petals[0])(name, name.replace("coadd", "redrock")) for name in names]
    Plan(plan.root, tuple(many)).write(output / "run" / "plan.ecsv", overwrite=True)
    for name in names:
        Journal(output).write(Event(FAILED, name, message="damaged"))

    assert main(["status", str(output)]) == 1
    err = capsys.readouterr().err
    assert err.count("damaged") == 20
    assert "failed: 10 more; `release status --all` lists them" in err
    assert main(["status", str(output), "--all"]) == 1
    assert capsys.readouterr().err.count("damaged") == 30


def test_a_folder_without_a_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(tmp_path)]) == 1
    assert f"{tmp_path} has no journal of a release" in capsys.readouterr().err


def test_a_journal_is_read_in_the_order_of_time_without_lines_that_are_cut(tmp_path: Path) -> None:
    early, late = Journal(tmp_path), Journal(tmp_path)
    late.write(Event(SCORED, "a", time=2.0))
    early.write(Event(BEGUN, "a", time=1.0))
    late.write(Event(BEGUN, "b", time=3.0))
    early.write(Event(BEGUN, "b", time=4.0))
    (path, *_) = sorted(early.folder.iterdir())
    with path.open("ab") as file:
        file.write(b'{"state": "scored", "petal": "b", "ti')
    (early.folder / "odd.jsonl").write_bytes(b'\xff\n[1]\n{"state": 3}\n{"state": "?"}\n\n')

    events = read_events(tmp_path)
    assert [event.time for event in events] == [1.0, 2.0, 3.0, 4.0]
    records = read_records(events)
    assert (records["a"].last.state, records["a"].begun) == (SCORED, 0)
    assert (records["b"].last.state, records["b"].begun) == (BEGUN, 2)
