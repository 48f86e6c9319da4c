"""A night is scored completely, whatever is broken or full, and however often it is stopped."""

import dataclasses
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

from outcrop import Petal, find_petals
from outcrop.cli import main
from outcrop.night.run import Night
from tests.outcrop_sdk.fault_server import FaultInjectingServer, failing, no_fault
from tests.outcrop_sdk.sample import (
    read_header,
    read_table,
    some_model,
    write_coadd,
    write_redrock,
)

pytestmark = pytest.mark.long

COMMAND = Path(sys.executable).with_name("outcrop")
TILE = "tiles/cumulative/80613/20210324"


def add_petal(root: Path, number: int = 0, rows: int = 3, first: int = 11) -> Petal:
    """Write a small petal below a root."""
    folder = root / TILE
    folder.mkdir(parents=True, exist_ok=True)
    ids = [first + row for row in range(rows)]
    name = f"{number}-80613-thru20210324.fits"
    return Petal(
        write_coadd(folder / f"coadd-{name}", ids, ["r"], NIGHT=20210324),
        write_redrock(folder / f"redrock-{name}", ids),
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three petals of three spectra, each with TARGETIDs of its own."""
    for number in range(3):
        add_petal(tmp_path / "tree", number, first=11 + 10 * number)
    return tmp_path / "tree"


def night(root: Path, output: Path, url: str, *options: str) -> int:
    return main(["night", str(root), "--output", str(output), "--url", url, *options])


def started(root: Path, output: Path, url: str, *options: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [COMMAND, "night", str(root), "--output", str(output), "--url", url, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tables(output: Path) -> list[Path]:
    return sorted(output.rglob("outliers-*.fits"))


def times(output: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in tables(output)}


def leftovers(output: Path) -> list[Path]:
    return [path for path in output.rglob("*") if path.name.startswith(".")]


def summary(output: Path) -> Any:
    return Table.read(output / "summary.ecsv")


def toplist(output: Path) -> Any:
    return Table.read(output / "toplist.ecsv")


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail after two minutes, in threads too."""
    for _ in range(12_000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("the condition never held")


# --- the output of a night


def test_the_tables_mirror_the_tree_and_the_summary_counts_every_redrock_row(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    assert [path.relative_to(tmp_path / "out").as_posix() for path in tables(tmp_path / "out")] == [
        f"{TILE}/outliers-{number}-80613-thru20210324.fits" for number in range(3)
    ]
    counted = summary(tmp_path / "out")
    redrock = [len(read_table(path, "REDSHIFTS")) for path in sorted(small.rglob("redrock-*"))]
    assert counted["ROWS"].tolist() == redrock
    assert counted.meta["rows"] == sum(redrock)
    assert counted["STATE"].tolist() == ["scored"] * 3
    # ANOMALY is where the TARGETID is a multiple of 3.
    assert counted["FLAGGED"].tolist() == [1, 1, 1]
    out = capsys.readouterr().out
    assert out.startswith("3 petals: 3 scored, 3 of them now; 0 failed, 0 waiting\n9 spectra, ")
    assert str(tmp_path / "out" / "toplist.ecsv") in out


def test_a_target_of_two_petals_is_listed_once_or_with_every_spectrum(
    server: FaultInjectingServer, tmp_path: Path
) -> None:
    add_petal(tmp_path / "tree", 0, first=11)
    add_petal(tmp_path / "tree", 1, first=13)
    # p_value is 1 / (1 + TARGETID); 15 has none.
    assert night(tmp_path / "tree", tmp_path / "out", server.url, "--max-p", "0.5") == 0
    top = toplist(tmp_path / "out")
    assert top["TARGETID"].tolist() == [14, 13, 12, 11]
    assert top["NSPECTRA"].tolist() == [1, 2, 1, 1]

    options = ["--max-p", "0.5", "--every-spectrum"]
    assert night(tmp_path / "tree", tmp_path / "out", server.url, *options) == 0
    top = toplist(tmp_path / "out")
    assert top["TARGETID"].tolist() == [14, 13, 13, 12, 11]
    assert top["RANK"].tolist() == [1, 2, 3, 4, 5]
    assert top["NSPECTRA"].tolist() == [1, 2, 2, 1, 1]
    assert len(set(top["COADD"][1:3].tolist())) == 2
    assert (tmp_path / "out" / "targets.txt").read_text() == "14\n13\n12\n11\n"


def test_a_faulty_petal_is_named_and_set_apart(
    server: FaultInjectingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # ANOMALY is where 3 divides the TARGETID: far more often than the level, 1 %.
    petal = add_petal(tmp_path / "tree", rows=20)
    assert night(tmp_path / "tree", tmp_path / "out", server.url) == 0
    output = capsys.readouterr()
    # Those that 5 divides have no p_value.
    reason = "fibers 1000-1024: 5 of 16 flagged"
    assert f"{petal.coadd}: set apart, no discoveries: {reason}" in output.err
    assert "set apart: 16 spectra of 1 petals (SET_APART in summary.ecsv)" in output.out

    counted = summary(tmp_path / "out")
    assert counted["SET_APART"].tolist() == [reason]
    assert (counted.meta["tested"], counted.meta["discoveries"]) == (0, 0)
    assert counted.meta["FDR_BASIS"] == "none"
    assert toplist(tmp_path / "out")["TARGETID"].tolist() == [27, 24, 21, 18, 12]


def test_parts_of_a_tree_are_one_night(
    server: FaultInjectingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        add_petal(tmp_path / "tree" / f"part{number}", number, first=11 + 10 * number)
    monkeypatch.chdir(tmp_path)
    pattern = str(Path("tree") / "part[01]")
    assert night(Path(pattern), tmp_path / "out", server.url) == 0
    found = [path.relative_to(tmp_path / "out").parts[0] for path in tables(tmp_path / "out")]
    assert found == ["part0", "part1"]
    coadds = summary(tmp_path / "out")["COADD"].tolist()
    assert [coadd.split("/")[0] for coadd in coadds] == found

    assert main(["night", "tree/part2", "tree/part1", "-o", "two", "--url", server.url]) == 0
    assert len(summary(tmp_path / "two")) == 2
    assert night(Path("tree/part[89]"), tmp_path / "none", server.url) == 1


@pytest.mark.parametrize(
    ("options", "listed", "selection"),
    [
        # ANOMALY is where the TARGETID is a multiple of 3.
        ([], [33, 21, 12], "flagged; one spectrum of each target, at most 100"),
        (["--max-p", "0.04"], [33, 32, 31], "p < 0.04; one spectrum of each target, at most 100"),
        (["--number", "2"], [33, 21], "flagged; one spectrum of each target, at most 2"),
        (["--spectype", "qso"], [], "flagged, QSO; one spectrum of each target, at most 100"),
        (["--min-snr", "9.5"], [], "flagged, S/N >= 9.5; one spectrum of each target, at most 100"),
    ],
)
def test_the_top_list_holds_flagged_spectra_or_those_asked_for(
    server: FaultInjectingServer,
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    listed: list[int],
    selection: str,
) -> None:
    assert night(small, tmp_path / "out", server.url, *options) == 0
    top = toplist(tmp_path / "out")
    assert top["TARGETID"].tolist() == listed
    assert top.meta["selection"] == selection
    assert (tmp_path / "out" / "targets.txt").read_text() == "".join(f"{i}\n" for i in listed)
    title = "the most anomalous" if listed else "no spectrum is in the top list"
    assert f"{title} ({selection})" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [["--max-p", "0"], ["--max-p", "nan"], ["--number", "0"], ["--spectype", "DWARF"]],
)
def test_an_impossible_selection_is_refused(tmp_path: Path, options: list[str]) -> None:
    assert night(tmp_path, tmp_path / "out", "http://127.0.0.1:1", *options) == 2


def test_a_target_of_a_healpixel_is_listed_with_every_fiber_and_night(
    server: FaultInjectingServer, real: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tree" / "healpix" / "special" / "dark" / "272" / "27247"
    folder.mkdir(parents=True)
    for path in real.glob("*-special-dark-27247.fits"):
        (folder / path.name).symlink_to(path)
    options = ["--max-p", "1"]
    assert night(tmp_path / "tree", tmp_path / "out", server.url, *options) == 0
    assert len(toplist(tmp_path / "out")) == 1

    options.append("--every-spectrum")
    assert night(tmp_path / "tree", tmp_path / "out", server.url, *options) == 0
    top = toplist(tmp_path / "out")
    seen = read_table(real / "coadd-special-dark-27247.fits", "EXP_FIBERMAP")
    columns = ("TILEID", "FIBER", "PETAL_LOC", "NIGHT")
    expected = set(zip(*(seen[name].tolist() for name in columns), strict=True))
    listed = [tuple(row) for row in top["TILEID", "FIBER", "PETAL", "NIGHT"].iterrows()]
    assert len(listed) == len(expected) == 18
    assert set(listed) == expected
    assert set(top["RANK"]) == {1}
    assert set(top["VIEWER"]) == {
        "https://www.legacysurvey.org/viewer?ra=149.465404&dec=1.793647&layer=ls-dr9&zoom=16"
    }


def test_an_empty_petal_has_a_table(server: FaultInjectingServer, tmp_path: Path) -> None:
    add_petal(tmp_path / "tree", rows=0)
    assert night(tmp_path / "tree", tmp_path / "out", server.url) == 0
    assert summary(tmp_path / "out")["ROWS"].tolist() == [0]
    assert len(toplist(tmp_path / "out")) == 0


# --- explanations


def test_flagged_spectra_are_explained_and_their_causes_counted(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    # ANOMALY is where the TARGETID is a multiple of 3.
    assert server.explained == [1, 1, 1]
    for path, flagged in zip(tables(tmp_path / "out"), (12, 21, 33), strict=True):
        explained = read_table(path)
        named = explained["TARGETID"][explained["CAUSE"] == "emission_line"]
        assert named.tolist() == [flagged]
        assert set(read_table(path, "EXPLANATIONS")["TARGETID"].tolist()) == {flagged}

    counted, top = summary(tmp_path / "out"), toplist(tmp_path / "out")
    assert counted["EXPLAINED"].tolist() == [1, 1, 1]
    assert counted["CAUSES"].tolist() == ["1 emission_line"] * 3
    assert counted.meta["causes"] == {"emission_line": 3}
    assert top["CAUSE"].tolist() == ["emission_line"] * 3
    assert top["SENTENCE"].tolist() == [f"Halpha stands out in {one}" for one in (33, 21, 12)]
    assert top["CAUSE_PROB"].tolist() == [0.75] * 3
    out = capsys.readouterr().out
    assert "causes of 3 of 3 anomalies:\n  emission_line" in out
    assert "    Halpha stands out in 33\n" in out


def test_a_night_is_not_explained_where_that_is_switched_off(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night(small, tmp_path / "out", server.url, "--no-explain") == 0
    assert server.explained == []
    assert "CAUSE" not in read_table(tables(tmp_path / "out")[0]).names
    assert "causes of" not in capsys.readouterr().out
    assert len(toplist(tmp_path / "out")) == 3

    # The tables are not as they are asked for now.
    assert night(small, tmp_path / "out", server.url) == 0
    assert (server.sizes, server.explained) == ([3] * 6, [1] * 3)
    assert night(small, tmp_path / "out", server.url) == 0
    assert len(server.sizes) == 6


def test_a_petal_that_cannot_be_explained_is_named_and_tried_again(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The model, the first petal's scores, and its explanations.
    server.faults = [no_fault, no_fault, failing(400, b'{"error": "no reason"}')]
    assert night(small, tmp_path / "out", server.url, "--workers", "1") == 1
    out, err = capsys.readouterr()
    assert "3 petals: 2 scored, 2 of them now; 1 failed, 0 waiting" in out
    assert "/explain answered 400 Bad Request: no reason" in err.splitlines()[-1]
    assert summary(tmp_path / "out")["STATE"].tolist().count("failed") == 1
    assert len(tables(tmp_path / "out")) == 2

    assert night(small, tmp_path / "out", server.url) == 0
    assert server.explained == [1, 1, 1]


def test_a_busy_service_is_asked_again_for_explanations(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    server.faults = [no_fault, no_fault, *[failing(429, Retry_After="0")] * 2]
    assert night(small, tmp_path / "out", server.url, "--workers", "1") == 0
    assert server.sizes == [3] * 3
    assert server.explained == [1] * 3


# --- scored again or not


def test_a_second_run_scores_nothing(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    before, asked = times(tmp_path / "out"), len(server.sizes)
    capsys.readouterr()
    assert night(small, tmp_path / "out", server.url) == 0
    assert times(tmp_path / "out") == before
    assert len(server.sizes) == asked
    assert "3 scored, 0 of them now" in capsys.readouterr().out
    assert len(toplist(tmp_path / "out")) == 3


def newer(coadd: Path, table: Path) -> None:
    os.utime(coadd, ns=(table.stat().st_mtime_ns + 1, table.stat().st_mtime_ns + 1))


def copied_with_its_time(coadd: Path, table: Path) -> None:
    """As rsync copies a reprocessed file that is older than the table of its predecessor."""
    old = table.stat().st_mtime_ns - 10**12
    os.utime(coadd, ns=(old, old))


def backdated_table(coadd: Path, table: Path) -> None:
    os.utime(table, (1, 1))


def cut_off_table(coadd: Path, table: Path) -> None:
    table.write_bytes(table.read_bytes()[:-100])


def removed_table(coadd: Path, table: Path) -> None:
    table.unlink()


def from_the_future(coadd: Path, table: Path) -> None:
    ahead = time.time_ns() + 10**12
    os.utime(coadd, ns=(ahead, ahead))


@pytest.mark.parametrize(
    "change",
    [
        newer,
        copied_with_its_time,
        backdated_table,
        cut_off_table,
        removed_table,
        from_the_future,
    ],
)
def test_a_petal_whose_table_is_not_of_its_files_is_scored_again_once(
    server: FaultInjectingServer, small: Path, tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    before = times(tmp_path / "out")
    changed = tables(tmp_path / "out")[1]
    change(sorted(small.rglob("coadd-*"))[1], changed)
    for _ in range(2):
        assert night(small, tmp_path / "out", server.url) == 0
    after = times(tmp_path / "out")
    assert {name for name in before if before[name] != after[name]} == {changed.name}
    assert server.sizes == [3, 3, 3, 3]


def test_another_model_has_every_petal_scored_again(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    server.model = dataclasses.replace(some_model(), sha256="cd" * 32)
    assert night(small, tmp_path / "out", server.url) == 0
    assert len(server.sizes) == 6
    shas = {read_header(path)["MODELSHA"] for path in tables(tmp_path / "out")}
    assert shas == {"cd" * 32}
    assert summary(tmp_path / "out").meta["sha256"] == "cd" * 32


# --- failures of a petal


def test_a_broken_petal_is_named_at_the_end_and_the_others_are_there(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = sorted(small.rglob("coadd-*"))[1]
    broken.write_bytes(broken.read_bytes()[:9999])
    assert night(small, tmp_path / "out", server.url) == 1
    out, err = capsys.readouterr()
    assert "3 petals: 2 scored, 2 of them now; 1 failed, 0 waiting" in out
    last = err.splitlines()[-2:]
    assert last[0] == "outcrop: error: 1 petals failed:"
    assert last[1].startswith(f"  {broken}: ")
    assert "9999 bytes" in last[1]
    assert "fetch or make it again" in last[1]

    counted = summary(tmp_path / "out")
    assert counted["STATE"].tolist() == ["scored", "failed", "scored"]
    assert "9999 bytes" in counted["ERROR"][1]
    assert counted.meta["rows"] == 6

    broken.unlink()
    write_coadd(broken, [21, 22, 23], ["r"])
    assert night(small, tmp_path / "out", server.url) == 0
    assert summary(tmp_path / "out").meta["rows"] == 9


def test_a_coadd_without_redrock_file_is_listed(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = add_petal(small, 7)
    lone.redrock.unlink()
    assert night(small, tmp_path / "out", server.url) == 0
    assert summary(tmp_path / "out")["STATE"].tolist() == ["scored"] * 3 + ["unpaired"]
    assert summary(tmp_path / "out")["COADD"][3] == f"{TILE}/{lone.coadd.name}"
    assert "no redrock file beside it" in summary(tmp_path / "out")["ERROR"][3]
    out = capsys.readouterr().out
    assert out.startswith("3 petals: 3 scored")
    assert "\n1 coadds have no redrock file and are not scored\n" in out


def test_a_petal_whose_files_do_not_belong_together_fails_unless_allowed(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redrock = find_petals(small)[1].redrock
    redrock.unlink()
    write_redrock(redrock, [91, 92, 23])
    assert night(small, tmp_path / "out", server.url) == 1
    reason = f"2 of 3 rows of {redrock} have no spectrum in "
    assert reason in capsys.readouterr().err.splitlines()[-1]
    assert night(small, tmp_path / "out", server.url, "--allow-mismatch") == 0
    assert reason in capsys.readouterr().err
    assert summary(tmp_path / "out").meta["rows"] == 9


def with_byte(kind: str, text: bytes, replacement: bytes) -> Callable[[Petal], Path]:
    def damage(petal: Petal) -> Path:
        path: Path = getattr(petal, kind)
        content = path.read_bytes()
        assert text in content
        path.write_bytes(content.replace(text, replacement, 1))
        return path

    return damage


def as_pipe(kind: str) -> Callable[[Petal], Path]:
    def damage(petal: Petal) -> Path:
        path: Path = getattr(petal, kind)
        path.unlink()
        os.mkfifo(path)
        return path

    return damage


AXES = b"NAXIS   =                    2"
BILLION = b"NAXIS   =            999999999"
NIGHT = b"NIGHT   =             20210324"
DAMAGES: list[tuple[Callable[[Petal], Path], str]] = [
    (with_byte("coadd", b"TGT", b"T\xf8T"), "column OBJTYPE"),
    (with_byte("redrock", b"GALAXY", b"GAL\xf8XY"), "column SPECTYPE"),
    (with_byte("coadd", NIGHT, b"NIGHT   =           2021.03.24"), "NIGHT"),
    (with_byte("coadd", AXES, BILLION), "NAXIS is 999999999"),
    (as_pipe("coadd"), "is not a regular file"),
    (as_pipe("redrock"), "is not a regular file"),
]


@pytest.mark.parametrize(
    ("damage", "reason", "watch"),
    [*((*each, False) for each in DAMAGES), *((*each, True) for each in DAMAGES[::2])],
)
def test_a_damaged_petal_is_named_in_one_line_and_the_others_are_scored(
    server: FaultInjectingServer,
    small: Path,
    tmp_path: Path,
    damage: Callable[[Petal], Path],
    reason: str,
    watch: bool,
) -> None:
    output = tmp_path / "out"
    damaged = damage(find_petals(small)[1])
    process = started(small, output, server.url, *(["--watch"] if watch else []))
    try:
        if watch:
            wait_for((output / "summary.ecsv").exists)
            wait_for(lambda: summary(output)["STATE"].tolist() == ["scored", "failed", "scored"])
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()

    assert process.returncode == (143 if watch else 1), err
    assert summary(output)["STATE"].tolist() == ["scored", "failed", "scored"]
    assert damaged.name in summary(output)["ERROR"][1]
    assert reason in summary(output)["ERROR"][1]
    (listed,) = [line for line in err.splitlines() if line.startswith("  ")]
    assert damaged.name in listed
    assert reason in listed
    assert "Traceback" not in err


def test_a_table_with_a_damaged_header_is_made_again(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    table = tables(tmp_path / "out")[1]
    content = table.read_bytes()
    at = content.index(b"MODELSHA= '")
    table.write_bytes(content[:at] + b"MODELSHA= abab'cd" + content[at + 17 :])
    assert night(small, tmp_path / "out", server.url) == 0
    assert read_header(table)["MODELSHA"] == some_model().sha256
    assert server.sizes == [3] * 4


def test_a_file_name_that_is_not_utf_8_is_a_failed_petal_in_the_summary(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    petal = find_petals(small)[1]
    for path in (petal.coadd, petal.redrock):
        path.rename(os.fsdecode(os.fsencode(path).replace(b"thru", b"\xfe\xff")))
    process = started(small, tmp_path / "out", server.url)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert summary(tmp_path / "out")["STATE"].tolist() == ["scored", "failed", "scored"]
    assert "\\udcfe\\udcff" in summary(tmp_path / "out")["COADD"][1]
    assert "cannot be named in a FITS header" in summary(tmp_path / "out")["ERROR"][1]


def test_a_stale_table_of_a_petal_that_broke_is_kept_but_not_counted(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    assert night(small, tmp_path / "out", server.url) == 0
    before = times(tmp_path / "out")
    sorted(small.rglob("coadd-*"))[0].write_text("hello")
    assert night(small, tmp_path / "out", server.url) == 1
    assert times(tmp_path / "out") == before
    assert summary(tmp_path / "out").meta["rows"] == 6
    assert toplist(tmp_path / "out")["TARGETID"].tolist() == [33, 21]


def test_a_petal_that_the_service_refuses_fails_alone(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = [no_fault, failing(400, b'{"error": "no such thing"}')]
    assert night(small, tmp_path / "out", server.url, "--workers", "1") == 1
    assert len(tables(tmp_path / "out")) == 2
    assert "no such thing" in capsys.readouterr().err.splitlines()[-1]


def test_a_full_disk_is_named_and_leaves_no_part_of_a_file(
    server: FaultInjectingServer, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    add_petal(tmp_path / "tree", 0)
    assert night(tmp_path / "tree", output, server.url) == 0
    before = times(output)
    add_petal(tmp_path / "tree", 1, rows=400)
    arguments = ["night", str(tmp_path / "tree"), "--output", str(output), "--url", server.url]

    def limited(size: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
            # `make coverage` could not write its file either.
            env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
            capture_output=True,
            text=True,
            timeout=120,
        )

    # Room for the summary and the first petal's table, not for the second's.
    full = limited(20_000)
    assert full.returncode == 1
    assert "outliers-1-80613-thru20210324.fits cannot be written: " in full.stderr
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert times(output) == before
    assert leftovers(output) == []
    assert summary(output)["STATE"].tolist() == ["scored", "failed"]
    # Not even for the summary: the one that is there stays.
    kept = (output / "summary.ecsv").read_text()
    fuller = limited(100)
    assert fuller.returncode == 1
    assert "summary.ecsv cannot be written: " in fuller.stderr
    assert (output / "summary.ecsv").read_text() == kept
    assert leftovers(output) == []
    assert night(tmp_path / "tree", output, server.url) == 0
    assert times(output).items() > before.items()


# --- failures of the service


@pytest.mark.usefixtures("short_night_retries")
def test_a_service_that_stays_unavailable_ends_the_night_and_leaves_the_rest_waiting(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The model and one petal, which is scored and explained.
    server.faults = [no_fault] * 3 + [failing(503)] * 10_000
    options = ("--workers", "1", "--timeout", "0.2")
    assert night(small, tmp_path / "out", server.url, *options) == 1
    out, err = capsys.readouterr()
    assert "3 petals: 1 scored, 1 of them now; 0 failed, 2 waiting" in out
    assert "outcrop: 2 petals are left; run again to go on" in err
    assert "answered 503" in err.splitlines()[-1]
    server.faults = []
    assert night(small, tmp_path / "out", server.url) == 0
    assert server.sizes == [3, 3, 3]


def test_requests_to_a_busy_service_are_retried_for_longer_than_a_call(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    # A call ends at the first answer: the next try could only begin after its deadline.
    server.faults = [no_fault] + [failing(429, Retry_After="1")] * 2
    assert night(small, tmp_path / "out", server.url, "--timeout", "0.9") == 0
    assert len(tables(tmp_path / "out")) == 3


def test_a_refused_token_ends_the_night_immediately(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = [no_fault] + [failing(401)] * 2
    assert night(small, tmp_path / "out", server.url, "--workers", "1") == 1
    assert "answered 401" in capsys.readouterr().err.splitlines()[-1]
    assert tables(tmp_path / "out") == []


@pytest.mark.usefixtures("short_night_retries")
def test_a_model_that_changes_has_the_night_begin_again(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def upgrade(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        server.model = dataclasses.replace(some_model(), sha256="cd" * 32, version="20260202")
        return False

    # The model, one petal; the scores of the second are of another model.
    server.faults = [*[no_fault] * 2, upgrade]
    assert night(small, tmp_path / "out", server.url, "--workers", "1") == 0
    error = capsys.readouterr().err
    assert "changed its model from outcrop 20260101 " in error
    assert " to outcrop 20260202 " in error
    shas = {read_header(path)["MODELSHA"] for path in tables(tmp_path / "out")}
    assert shas == {"cd" * 32}
    assert summary(tmp_path / "out").meta["sha256"] == "cd" * 32


@pytest.mark.usefixtures("short_night_retries")
def test_two_models_that_stay_end_the_night(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = itertools.cycle(
        [some_model(), dataclasses.replace(some_model(), sha256="cd" * 32, version="20260202")]
    )

    def alternate(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        server.model = next(models)
        return False

    server.faults = [alternate] * 10_000
    assert night(small, tmp_path / "out", server.url, "--workers", "1") == 1
    assert "the service changed its model" in capsys.readouterr().err.splitlines()[-1]
    assert leftovers(tmp_path / "out") == []


@pytest.mark.usefixtures("short_night_retries")
def test_an_address_without_a_service_is_one_warning_and_one_error(
    small: Path, tmp_path: Path, closed_port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night(small, tmp_path / "out", closed_port) == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"outcrop: WARNING: {closed_port}/model cannot be reached")
    assert warning.endswith("trying again for up to 0.3 s")
    assert error.startswith(f"outcrop: error: {closed_port}/model cannot be reached")


@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_a_night_waits_for_a_service_that_is_down_at_its_start(
    small: Path, tmp_path: Path, watch: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = started(small, tmp_path / "out", f"http://127.0.0.1:{port}", *watch)
    try:
        # The retries of a plain client end after some 4 s.
        time.sleep(7)
        assert process.poll() is None
        with FaultInjectingServer(port):
            wait_for((tmp_path / "out" / "targets.txt").exists)
            if watch:
                wait_for(lambda: len(tables(tmp_path / "out")) == 3)
                process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == (143 if watch else 0)
    assert err.count("cannot be reached") == 1


# --- stopping and watching


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_night_continues_when_it_is_run_again(
    server: FaultInjectingServer, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    for petal in range(5):
        add_petal(tmp_path / "tree", petal)
    output, gate = tmp_path / "out", threading.Event()

    def held(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        gate.wait(60)
        return False

    # The model, two petals, each scored and explained, and the third, in progress meanwhile.
    server.faults = [*[no_fault] * 5, held]
    process = started(tmp_path / "tree", output, server.url, "--workers", "1")
    try:
        wait_for(lambda: len(server.paths) == 6)
        process.send_signal(number)
        assert process.stderr is not None
        while "finishing the petals in progress" not in (line := process.stderr.readline()):
            assert line
        gate.set()
        out, err = process.communicate(timeout=120)
    finally:
        gate.set()
        process.kill()

    assert process.returncode == status, err
    assert err.endswith("2 petals are left; run again to go on\noutcrop: interrupted\n")
    before = times(output)
    assert len(before) == 3
    assert out.startswith("5 petals: 3 scored, 3 of them now; 0 failed, 2 waiting\n")
    assert summary(output)["STATE"].tolist().count("waiting") == 2
    assert leftovers(output) == []

    assert night(tmp_path / "tree", output, server.url) == 0
    assert times(output).items() > before.items()
    assert server.sizes == [3] * 5


@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_a_second_night_on_a_folder_names_the_first_and_leaves(
    server: FaultInjectingServer,
    small: Path,
    tmp_path: Path,
    watch: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    process = started(small, output, server.url, "--watch")
    try:
        wait_for(lambda: len(tables(output)) == 3)
        asked = len(server.paths)
        assert night(small, output, server.url, *watch) == 75
        assert night(small, tmp_path / "other", server.url) == 0
        (error,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert f"another night works on {output}: process {process.pid} on " in error
        # The second has requested nothing of the service.
        assert len(server.paths) == asked + 7
        process.kill()
        process.communicate(timeout=120)
        assert night(small, output, server.url) == 0
    finally:
        process.kill()


def test_a_second_signal_ends_a_night_at_once(
    server: FaultInjectingServer, small: Path, tmp_path: Path
) -> None:
    server.faults = [no_fault, *[server.hang] * 3]
    process = started(small, tmp_path / "out", server.url)
    try:
        wait_for(lambda: len(server.paths) == 4)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "finishing the petals in progress" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGINT


def test_a_night_that_waits_for_its_service_ends_at_a_signal(
    small: Path, tmp_path: Path, closed_port: str
) -> None:
    process = started(small, tmp_path / "out", closed_port)
    try:
        assert process.stderr is not None
        while "cannot be reached" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 143


def test_no_more_petals_are_in_memory_than_there_are_workers(
    server: FaultInjectingServer, tmp_path: Path
) -> None:
    for number in range(6):
        add_petal(tmp_path / "tree", number)
    lock, in_progress, most = threading.Lock(), 0, 0

    def slow(handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        nonlocal in_progress, most
        if body:
            with lock:
                in_progress += 1
                most = max(most, in_progress)
            time.sleep(0.1)
            with lock:
                in_progress -= 1
        return False

    server.faults = [slow] * 100
    assert night(tmp_path / "tree", tmp_path / "out", server.url, "--workers", "2") == 0
    assert most == 2


def watched(root: Path, output: Path, url: str, meanwhile: Callable[[], None]) -> int:
    """Watch a folder while a function changes it; then stop."""
    failures: list[BaseException] = []

    def act() -> None:
        try:
            meanwhile()
        except BaseException as error:  # noqa: BLE001 (raised below, in the test's own thread)
            failures.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=act)
    thread.start()
    status = night(root, output, url, "--watch")
    thread.join()
    if failures:
        raise failures[0]
    return status


@pytest.fixture
def fast_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Night.watch, "__defaults__", (0.05,))


@pytest.fixture
def slow_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Night.watch, "__defaults__", (0.3,))


@pytest.mark.usefixtures("fast_poll")
def test_watching_scores_present_and_new_petals(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    late = add_petal(tmp_path / "elsewhere", 7, first=91)

    def meanwhile() -> None:
        wait_for((output / "targets.txt").exists)
        for path in (late.coadd, late.redrock):
            path.rename(small / TILE / path.name)
        wait_for(lambda: len(tables(output)) == 4)

    assert watched(small, output, server.url, meanwhile) == 130
    out, err = capsys.readouterr()
    assert "4 petals: 4 scored, 4 of them now; 0 failed, 0 waiting" in out
    assert "ERROR" not in err


@pytest.mark.usefixtures("slow_poll")
def test_a_file_that_is_still_being_written_is_not_read(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    late = add_petal(tmp_path / "elsewhere", 7)
    content = late.coadd.read_bytes()

    def meanwhile() -> None:
        wait_for(lambda: len(tables(output)) == 3)
        (small / TILE / late.redrock.name).write_bytes(late.redrock.read_bytes())
        with (small / TILE / late.coadd.name).open("wb") as stream:
            for start in range(0, len(content), len(content) // 40):
                stream.write(content[start : start + len(content) // 40])
                stream.flush()
                time.sleep(0.02)
        assert len(tables(output)) == 3
        wait_for(lambda: len(tables(output)) == 4)

    assert watched(small, output, server.url, meanwhile) == 130
    assert "ERROR" not in capsys.readouterr().err
    assert server.sizes == [3, 3, 3, 3]


@pytest.mark.usefixtures("fast_poll")
def test_a_stalled_copy_is_logged_once_and_scored_when_it_is_complete(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    late = add_petal(tmp_path / "elsewhere", 7)
    part = tmp_path / "part.fits"
    part.write_bytes(late.coadd.read_bytes()[:11520])

    def meanwhile() -> None:
        wait_for((output / "targets.txt").exists)
        late.redrock.rename(small / TILE / late.redrock.name)
        part.rename(small / TILE / late.coadd.name)
        wait_for(lambda: "failed" in summary(output)["STATE"])
        # A few searches later.
        time.sleep(0.2)
        late.coadd.rename(small / TILE / late.coadd.name)
        wait_for(lambda: len(tables(output)) == 4)

    assert watched(small, output, server.url, meanwhile) == 130
    out, err = capsys.readouterr()
    assert err.count("outcrop: ERROR: coadd-7-") == 1
    assert "4 petals: 4 scored, 4 of them now; 0 failed, 0 waiting" in out


@pytest.mark.usefixtures("fast_poll", "short_night_retries")
def test_watching_continues_after_an_error_that_ends_a_night(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"

    def meanwhile() -> None:
        wait_for(lambda: len(tables(output)) == 3)
        server.faults = [failing(401)] * 4
        add_petal(small, 7)
        wait_for(lambda: len(tables(output)) == 4)

    assert watched(small, output, server.url, meanwhile) == 130
    assert "answered 401" in capsys.readouterr().err


# --- refused before any request


@pytest.mark.parametrize(
    ("root", "output", "reason"),
    [
        ("absent", "out", "absent is not a folder"),
        ("empty", "out", "no pair of coadd-*.fits and redrock-*.fits below"),
        ("tree", "file", "file cannot be a folder"),
        ("tree", "file/out", "out cannot be a folder"),
    ],
)
def test_folders_that_cannot_be_used_are_refused(
    server: FaultInjectingServer,
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    root: str,
    output: str,
    reason: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("precious")
    assert night(tmp_path / root, tmp_path / output, server.url) == 1
    assert reason in capsys.readouterr().err
    assert server.sizes == []


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_an_invalid_number_of_workers_is_refused(
    small: Path, tmp_path: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert night(small, tmp_path / "out", "http://127.0.0.1:9", "--workers", workers) == 2
    assert "--workers" in capsys.readouterr().err


def test_a_simulated_model_on_a_real_sky_is_warned_of_once_a_night(
    server: FaultInjectingServer, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.model = some_model("simulated")
    assert night(small, tmp_path / "out", server.url) == 0
    out, err = capsys.readouterr()
    assert err.count("was trained on a simulated sky") == 1
    assert "sample simulated" in out
