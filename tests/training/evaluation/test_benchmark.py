"""The benchmark continues where it was stopped, and averages over its seeds."""

import json
from pathlib import Path

import pytest

from training.evaluation.benchmark import CONTAMINATION, SkyPetals, main, run_seed, summary


def write_numbers(folder: Path, offset: float) -> None:
    """Write recalls as `evaluate` does: they fall with contamination, PCA's twice as fast."""
    folder.mkdir()
    for share in CONTAMINATION:
        ours, theirs = 0.9 + offset - 10 * share, 0.8 + offset - 20 * share
        numbers = {
            "n_injected": {"bad_sky": 3},
            "recall_at_1pct": {
                "p_value": {"macro": ours, "bad_sky": 0.5},
                "pca10": {"macro": theirs, "bad_sky": None},
            },
        }
        (folder / f"model-{share:g}.json").write_text(json.dumps(numbers))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    write_numbers(tmp_path / "seed-4", -0.02)
    write_numbers(tmp_path / "seed-5", 0.02)
    return tmp_path


def lines(text: str, start: str) -> list[list[str]]:
    return [line.split("  ") for line in text.splitlines() if line.startswith(start)]


def test_the_summary_is_the_mean_over_seeds_and_half_their_range(finished: Path) -> None:
    text = summary(finished, [4, 5])
    by_contamination, by_kind = lines(text, "PCA-10 χ²")
    assert [cell.strip() for cell in by_contamination if cell][1:] == [
        "0.800 ± 0.020",
        "0.700 ± 0.020",
        "0.600 ± 0.020",
        "0.400 ± 0.020",
    ]
    assert by_kind[-1].strip() == "–"
    assert "not DESI performance" in text


def test_a_finished_seed_is_skipped(finished: Path) -> None:
    before = sorted(finished.rglob("*"))
    run_seed(finished / "seed-4", 4, "default", SkyPetals(train=1, test=1))
    assert sorted(finished.rglob("*")) == before


def test_the_command_writes_the_summary(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command sets it for its own fits; here it must not outlive the test.
    monkeypatch.setenv("OUTCROP_CACHE", "")
    assert main(["--folder", str(finished), "--seeds", "4", "5"]) == 0
    assert (finished / "summary.txt").read_text() in capsys.readouterr().out


def test_a_fit_that_fails_stops_the_benchmark_with_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTCROP_CACHE", "")
    for sky in ("test", "train-0"):
        # Both skies count as made.
        (tmp_path / "seed-1" / sky).mkdir(parents=True)
        (tmp_path / "seed-1" / sky / "truth.csv").touch()
    assert main(["--folder", str(tmp_path), "--seeds", "1", "--config", "no-such"]) == 1
    assert "training fit" in capsys.readouterr().err
