"""The benchmark continues where it was stopped, and writes the tables of what is done."""

import json
from pathlib import Path

import pytest

from training.evaluation.benchmark import CONTAMINATION, NUISANCES, SkyPetals, main, run_pair
from training.evaluation.results import LabelledEvaluation


def write_numbers(folder: Path, seed: int, result: LabelledEvaluation, offset: float) -> None:
    """Write numbers as `evaluate` does; recall falls with contamination and with nuisances."""
    for strength in NUISANCES:
        pair = folder / f"seed-{seed}" / f"nuisances-{strength:g}"
        pair.mkdir(parents=True)
        for share in CONTAMINATION:
            recall = dict(result.recall_at_1pct)
            macro = 0.9 + offset - 10 * share - 0.05 * strength
            recall["p_value"] = recall["p_value"] | {"macro": macro}
            numbers = result.model_copy(update={"recall_at_1pct": recall})
            (pair / f"model-{share:g}.json").write_text(numbers.model_dump_json())


@pytest.fixture
def finished(tmp_path: Path, result: LabelledEvaluation, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The command sets it for its own fits; here it must not outlive the test.
    monkeypatch.setenv("OUTCROP_CACHE", "")
    write_numbers(tmp_path, 4, result, -0.02)
    write_numbers(tmp_path, 6, result, 0.02)
    return tmp_path


def cells(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_a_finished_pair_is_skipped(finished: Path) -> None:
    before = sorted(finished.rglob("*"))
    for strength in NUISANCES:
        pair = finished / "seed-4" / f"nuisances-{strength:g}"
        run_pair(pair, 4, strength, "default", SkyPetals(train=1, test=1))
    assert sorted(finished.rglob("*")) == before


def test_the_command_writes_the_same_tables_for_people_and_programs(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(finished), "--seeds", "4", "6"]) == 0
    text = (finished / "summary.md").read_text()
    assert text in capsys.readouterr().out
    # Three columns with nuisances, three without.
    expected = [0.85, 0.75, 0.65, 0.9, 0.8, 0.7]
    assert cells(text, "macro recall at 1 %") == [f"{mean:.3f} ± 0.020" for mean in expected]

    table = json.loads((finished / "summary.json").read_text())
    values = {
        (row["nuisances"], row["contamination"]): row["values"]
        for row in table
        if row["quantity"] == "macro recall at 1 %"
    }
    assert values[1, 0.01] == pytest.approx([0.73, 0.77])
    assert values[0, 0.02] == pytest.approx([0.68, 0.72])


def test_model_cards_get_the_recall_on_clean_samples_with_nuisances(finished: Path) -> None:
    assert main(["--folder", str(finished), "--seeds", "4", "6"]) == 0
    entry = json.loads((finished / "benchmark.json").read_text())["default"]
    assert entry["skies"] == 2
    assert entry["recall_at_1pct"]["p_value"]["macro"] == pytest.approx(0.85)


def test_tables_of_what_is_done_are_written_without_a_fit(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    removed = finished / "seed-6" / "nuisances-1" / "model-0.01.json"
    removed.unlink()
    before = sorted(finished.iterdir())
    assert main(["--folder", str(finished), "--seeds", "4", "6", "8", "--tables"]) == 0
    made = {path.name for path in set(finished.iterdir()) - set(before)}
    assert made == {"summary.md", "summary.json", "benchmark.json"}
    printed = capsys.readouterr().out
    assert "Pairs done: 2 (nuisances 1, clean), 1 (nuisances 1, 1 % anomalies)" in printed
    assert cells(printed, "macro recall at 1 %")[1] == "0.730"


def test_where_nothing_is_done_the_command_says_so(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(finished), "--seeds", "8", "--tables"]) == 1
    assert "leave out --tables" in capsys.readouterr().err


def test_numbers_of_an_older_version_are_named(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = finished / "seed-4" / "nuisances-1" / "model-0.json"
    stored = json.loads(old.read_text())
    del stored["injected_flagged"]
    old.write_text(json.dumps(stored))
    assert main(["--folder", str(finished), "--seeds", "4", "--tables"]) == 1
    assert f"{old}: injected_flagged is missing" in capsys.readouterr().err


def test_a_test_sky_must_not_be_a_training_sky(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path), "--seeds", "1", "2"])
    assert "seed 2 is also that of a test sky" in capsys.readouterr().err


def test_a_fit_that_fails_stops_the_benchmark_with_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_CACHE", "")
    for sky in ("test", "train-0"):
        # Both skies count as made.
        folder = tmp_path / "seed-1" / "nuisances-1" / sky
        folder.mkdir(parents=True)
        (folder / "truth.csv").touch()
    assert main(["--folder", str(tmp_path), "--seeds", "1", "--config", "no-such"]) == 1
    assert "training fit" in capsys.readouterr().err
