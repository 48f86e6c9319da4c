"""Far more flagged rows than chance gives are said, with the remedy."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_store.bundle import Bundle
from outcrop.plan import Plan
from release.__main__ import main
from release.flagged_rows import FlaggedRows
from release.petal import ScoringOptions
from release.run import Totals
from tests.release.collect.made_tables import write_table
from tests.release.conftest import SPECTRA


@pytest.mark.parametrize(
    ("flagged", "eligible", "too_many"),
    [(157, 279, True), (31, 1000, True), (30, 1000, False), (4, 9, False), (5, 9, True)],
)
def test_more_than_three_times_the_level_are_too_many(
    flagged: int, eligible: int, too_many: bool
) -> None:
    found = FlaggedRows(flagged, eligible, 0.01)
    assert found.too_many == too_many
    assert ("python -m training calibrate BUNDLE PLAN" in found.text()) == too_many


def test_the_counts_and_how_many_times_as_many_are_said() -> None:
    counts, warning = FlaggedRows(157, 279, 0.01).text().splitlines()
    assert counts == "157 of 279 eligible rows are flagged, 2.8 are expected by chance"
    assert warning.startswith("warning: that is 56.3 times as many: ")
    assert FlaggedRows(0, 0, 0.01).text().startswith("0 of 0 eligible rows")


def test_a_resumed_run_counts_the_rows_of_all_its_petals(
    plan: Plan, options: ScoringOptions, score: Callable[..., Totals], tmp_path: Path
) -> None:
    part = replace(plan, petals=plan.petals[:4])
    first = score(part, tmp_path / "out", options)
    assert 0 < first.eligible <= 4 * SPECTRA
    resumed = score(plan, tmp_path / "out", options)
    whole = score(plan, tmp_path / "other", options)
    assert resumed.current == 4
    assert (resumed.flagged, resumed.eligible) == (whole.flagged, whole.eligible)
    assert whole.eligible > first.eligible


def test_run_prints_how_many_are_flagged_and_expected(
    plan: Plan, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.write(tmp_path / "plan.ecsv")
    arguments = ["run", str(tmp_path / "plan.ecsv"), "--output", str(tmp_path / "out")]
    assert main([*arguments, "--model", str(bundle), "--executor", "processes:1"]) == 0
    printed = capsys.readouterr().out
    level = Bundle.open(bundle).manifest.p_level
    line = next(line for line in printed.splitlines() if "eligible rows are flagged" in line)
    eligible = int(line.split(" of ")[1].split()[0])
    expected = float(line.split("flagged, ")[1].split()[0])
    assert expected == pytest.approx(level * eligible, rel=0.1)


def test_a_catalogue_with_too_many_flagged_rows_says_so(tmp_path: Path) -> None:
    from release.collect.collection import CollectOptions, collect

    p_values: Any = [0.001] * 6 + [0.5] * 6
    write_table(
        tmp_path / "scores/outliers-main-bright-100.fits",
        list(range(1, 13)),
        healpix=100,
        p_value=p_values,
    )
    readme = collect(tmp_path / "scores", tmp_path / "vac", CollectOptions())
    text = (tmp_path / "vac/v1.0/README.md").read_text()
    for said in (readme.summary(), text):
        assert "6 of 12 eligible rows are flagged, 0.12 are expected by chance" in said
        assert "warning: that is 50 times as many" in said
