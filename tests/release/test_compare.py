"""Two catalogues are compared target by target."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from outcrop import InputError, ModelIdentity
from release.collect.collection import CollectOptions, collect
from release.compare import compare
from release.comparison import A, B, CatalogueComparison, read_ranking
from tests.release.collect.made_tables import write_table

OTHER = ModelIdentity("outcrop", "20270101", "cd" * 32)


def make(folder: Path, *tables: dict[str, Any]) -> Path:
    """Collect tables, given the arguments of `write_table`."""
    for number, table in enumerate(tables):
        write_table(folder / "scores" / f"outliers-{number}.fits", **table)
    collect(folder / "scores", folder / "vac", CollectOptions())
    return folder / "vac" / "v1.0"


def rows(targetid: Sequence[int], p_value: Sequence[float], **more: Any) -> dict[str, Any]:
    return {"targetid": targetid, "p_value": p_value, "healpix": 7, **more}


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """Ranks 1 to 6 are TARGETID 1 to 6; 9 is not eligible; 3 of main-dark is another row."""
    return make(
        tmp_path / "a",
        rows([6, 5, 4, 3, 2, 1, 9], [0.6, 0.5, 0.4, 0.008, 0.004, 0.002, np.nan]),
        rows([3], [0.9], program="dark"),
    )


@pytest.fixture
def b(tmp_path: Path) -> Path:
    """Ranks 1 to 6 are TARGETID 2, 7, 1, 3, 4, 5."""
    p_value = [0.001, 0.002, 0.003, 0.02, 0.5, 0.6]
    return make(tmp_path / "b", rows([2, 7, 1, 3, 4, 5], p_value, model=OTHER))


def test_a_ranking_has_the_rows_with_a_p_value_in_order(a: Path) -> None:
    ranking = read_ranking(a)
    assert ranking.columns["TARGETID"].tolist() == [1, 2, 3, 4, 5, 6, 3]
    assert ranking.columns["RANK"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert ranking.values("PROGRAM", np.array([0, 6])).tolist() == ["bright", "dark"]
    assert ranking.name == "outcrop 20260101 on iron"


def test_rows_are_matched_by_target_survey_and_program(a: Path, b: Path) -> None:
    comparison = CatalogueComparison.of(read_ranking(a), read_ranking(b), top=3)
    assert comparison.ranks(A).tolist() == [1, 2, 3, 4, 5]
    assert comparison.ranks(B).tolist() == [3, 1, 4, 5, 6]
    # Among themselves the ranks are 1 to 5 and 2, 1, 3, 4, 5.
    assert comparison.spearman() == pytest.approx(0.9)
    assert [comparison.overlap(top) for top in (1, 2, 3, 4)] == [0, 1, 2, 3]


def test_new_lost_and_flagged(a: Path, b: Path) -> None:
    comparison = CatalogueComparison.of(read_ranking(a), read_ranking(b), top=3)

    def targets(which: int, found: Any) -> list[int]:
        return comparison.rankings[which].columns["TARGETID"][found].tolist()

    assert targets(B, comparison.entered(B)) == [7]
    assert targets(A, comparison.entered(A)) == [3]
    assert targets(A, comparison.flagged_only(A)) == [3]
    assert targets(B, comparison.flagged_only(B)) == []


def test_the_table_has_what_changed(a: Path, b: Path) -> None:
    table: Any = CatalogueComparison.of(read_ranking(a), read_ranking(b), top=3).table()
    by_target = {row["TARGETID"]: row for row in table}
    assert by_target.keys() == {1, 2, 3, 7}
    assert by_target[1]["CHANGE"] == by_target[2]["CHANGE"] == "both"
    assert by_target[3]["CHANGE"] == "lost"
    assert by_target[7]["CHANGE"] == "new"
    assert by_target[1]["RANK_CHANGE"] == -2
    assert by_target[2]["RANK_CHANGE"] == 1
    assert (by_target[3]["P_VALUE_A"], by_target[3]["P_VALUE_B"]) == (0.008, 0.02)
    assert (by_target[3]["ANOMALY_A"], by_target[3]["ANOMALY_B"]) == (True, False)
    assert np.ma.is_masked(by_target[7]["RANK_A"])
    assert np.ma.is_masked(by_target[7]["RANK_CHANGE"])
    assert by_target[7]["RANK_B"] == 2


def test_of_several_rows_on_tiles_the_best_counts(tmp_path: Path) -> None:
    first = make(
        tmp_path / "a",
        {"targetid": [1, 2], "p_value": [0.1, 0.2], "tileid": 5, "snr": [4.0, 9.0]},
        {"targetid": [1], "p_value": [0.3], "tileid": 6, "snr": 8.0},
    )
    ranking = read_ranking(first)
    assert ranking.columns["TARGETID"].tolist() == [2, 1]
    assert ranking.columns["P_VALUE"].tolist() == [0.2, 0.3]


def test_many_rows_are_matched_as_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    found: list[dict[tuple[int, str], float]] = []
    folders: list[Path] = []
    for name in "ab":
        tables: list[dict[str, Any]] = []
        known: dict[tuple[int, str], float] = {}
        for program in rng.permutation(["bright", "dark", "backup"])[: 2 + (name == "b")]:
            ids = rng.choice(300, 150, replace=False).tolist()
            p_value = rng.random(150).tolist()
            tables.append(rows(ids, p_value, program=str(program)))
            known |= {(i, str(program)): p for i, p in zip(ids, p_value, strict=True)}
        folders.append(make(tmp_path / name, *tables))
        found.append(known)

    comparison = CatalogueComparison.of(read_ranking(folders[0]), read_ranking(folders[1]), top=10)
    for which, known in enumerate(found):
        ordered = sorted(known, key=lambda key: known[key])
        rank = {key: number for number, key in enumerate(ordered, start=1)}
        common = [key for key in sorted(found[0], key=lambda key: found[0][key]) if key in found[1]]
        assert comparison.ranks(which).tolist() == [rank[key] for key in common]


def test_the_files_are_written_together(a: Path, b: Path, tmp_path: Path) -> None:
    output = tmp_path / "comparison"
    compare(a, b, output, top=3)
    names = sorted(path.name for path in output.iterdir())
    assert names == ["comparison.ecsv", "comparison.png", "comparison.txt"]
    table: Any = Table.read(output / "comparison.ecsv")
    assert table.meta["MODEL_B"] == "outcrop 20270101 on iron"
    assert sorted(table["TARGETID"].tolist()) == [1, 2, 3, 7]
    assert (output / "comparison.png").read_bytes().startswith(b"\x89PNG")

    text = (output / "comparison.txt").read_text()
    assert "5 in both, 2 in A only, 1 in B only" in text
    assert "top 3: 2 in both" in text
    assert "  7 main bright: B 2 (p 2.0e-03), A none" in text
    assert "  3 main bright: A 3 (p 8.0e-03), B 4 (p 2.0e-02)" in text
    with pytest.raises(InputError, match="comparison exists"):
        compare(a, b, output)
    compare(a, b, output, top=1, overwrite=True)


def test_without_matplotlib_there_is_no_picture(
    a: Path,
    b: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delitem(sys.modules, "release.comparison_picture", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    compare(a, b, tmp_path / "comparison")
    names = sorted(path.name for path in (tmp_path / "comparison").iterdir())
    assert names == ["comparison.ecsv", "comparison.txt"]
    assert "no comparison.png: it needs matplotlib" in caplog.text


def test_a_catalogue_is_equal_to_itself(a: Path, tmp_path: Path) -> None:
    comparison = compare(a, a, tmp_path / "comparison")
    assert comparison.spearman() == pytest.approx(1)
    for which in (A, B):
        assert not len(comparison.entered(which))
        assert not len(comparison.flagged_only(which))


def test_other_folders_are_refused(a: Path, tmp_path: Path) -> None:
    output = tmp_path / "comparison"
    with pytest.raises(InputError, match="has no folder parquet"):
        compare(a, tmp_path, output)
    other = make(tmp_path / "other", rows([100], [0.5]))
    with pytest.raises(InputError, match="no target with a p-value in common"):
        compare(a, other, output)
    with pytest.raises(InputError, match="--top is 0"):
        compare(a, a, output, top=0)
    next(a.glob("parquet/*/*/*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="parquet cannot be read"):
        compare(a, a, output)
    assert not output.exists()
