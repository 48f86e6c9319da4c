"""The card states sample, recipe, errors and blind spots, and no recall of another recipe."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_store.bundle import Bundle, Manifest
from outcrop import Spectra, Status
from scoring.scorer import Scorer
from training.model import card
from training.model.card import BENCHMARK, CARD, PAPER_WMSE, class_rows, write_card
from training.model.config import Config

Arrays = Mapping[str, Any]


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return Bundle.open(bundle).manifest


@pytest.fixture
def calibration(bundle: Path) -> Arrays:
    """The arrays of calibration.npz."""
    return Bundle.open(bundle).arrays("calibration.npz")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    """A benchmark of one recipe, which finds half of the blends and all cosmic rays."""
    config = Config()
    recall = {"blend": 0.5, "cosmic": 1.0, "macro": 0.75}
    entry = {
        "configuration": config.model_dump(mode="json"),
        "skies": 3,
        "train_petals": 40,
        "recall_at_1pct": {
            "wmse": {"blend": 0.25, "cosmic": 0.5, "macro": 0.375},
            "p_value": recall,
        },
    }
    path = tmp_path / "benchmark.json"
    path.write_text(json.dumps({"one": entry}))
    monkeypatch.setattr(card, "BENCHMARK", path)
    return config


def test_every_bundle_has_its_card(bundle: Path, manifest: Manifest) -> None:
    text = Bundle.open(bundle).bytes(CARD).decode()
    for part in (
        f"# Model card: outcrop {manifest.version}",
        "**Made from a simulated sky: its numbers are not DESI performance.**",
        f"| training | {manifest.sample.counts['training']} |",
        "Population: BGS, targets with one of the bits 0x1000000000000000 of DESI_TARGET.",
        "latents = 4, hidden = [64, 32]",
        "| GALAXY |",
        f"wmse above {manifest.thresholds.wmse:.3f}",
        "## Known blind spots",
        "Spectra with a redshift outside -0.002 to 0.3",
    ):
        assert part in text
    assert "\n\n\n" not in text


def test_the_card_says_which_p_values_are_extrapolated(
    manifest: Manifest, calibration: Arrays
) -> None:
    def card_of(finest: float | None) -> str:
        return write_card(manifest.model_copy(update={"finest_p": finest}), calibration, {})

    assert "A p_value below 0.00025 is extrapolated" in card_of(1 / 4000)
    assert "is extrapolated" not in card_of(None)
    rests = "The flag therefore rests on extrapolated p-values"
    assert rests not in card_of(1 / 4000)
    assert rests in card_of(1 / 50)
    for finest in (1 / 4000, 1 / 50, None):
        assert "\n\n\n" not in card_of(finest)


def test_the_card_says_how_many_spectra_of_each_class_the_p_values_rest_on(
    manifest: Manifest, calibration: Arrays
) -> None:
    counted = {name: array for name, array in calibration.items() if not name.startswith("QSO_")}
    counted |= {"STAR_size": np.array(123), "STAR_parameters": np.array([0, 2, 0.0])}
    text = write_card(manifest, counted, {})
    galaxies = int(calibration["GALAXY_size"])
    assert f"| GALAXY | {galaxies} |\n| STAR | 123 |\n" in text
    assert "ranked among all classes: QSO." in text
    assert 0 < galaxies <= manifest.calibration.counts["calibration"]


def test_the_card_gives_the_range_of_snr_in_which_the_scorer_gives_p_values(
    bundle: Path, manifest: Manifest, calibration: Arrays, spectra: Spectra
) -> None:
    text = write_card(manifest, calibration, {})
    told = re.search(r"Calibrated for S/N from (\S+) to (\S+): ", text)
    assert told is not None
    scores = Scorer.open(bundle).score(spectra)
    has_p = np.isfinite(scores.p_value)
    assert has_p.any()
    assert float(told[1]) <= scores.snr[has_p].min() * 1.01
    assert float(told[2]) >= scores.snr[has_p].max() * 0.99
    beyond = (scores.status & int(Status.EXTRAPOLATED)) != 0
    outside = (scores.snr < float(told[1]) * 1.01) | (scores.snr > float(told[2]) * 0.99)
    assert beyond.any()
    assert outside[beyond].all()


def test_the_card_says_whether_corrected_spectra_are_expected(
    manifest: Manifest, calibration: Arrays
) -> None:
    assert "the service corrects nothing" in write_card(manifest, calibration, {})
    sample = manifest.configuration["sample"] | {"noise_correction": False}
    configuration = manifest.configuration | {"sample": sample}
    uncorrected = manifest.model_copy(update={"configuration": configuration})
    text = write_card(uncorrected, calibration, {})
    assert "with `--no-noise-correction`" in text
    assert "outcrop.correct_noise" not in text


def test_a_recipe_that_was_not_benchmarked_gets_no_recall(
    manifest: Manifest, calibration: Arrays
) -> None:
    text = write_card(manifest, calibration, {})
    assert "not part of the published benchmark" in text
    assert "found in the benchmark" not in text


@pytest.mark.usefixtures("benchmark")
def test_another_recipe_than_that_of_the_benchmark_gets_no_recall(
    manifest: Manifest, calibration: Arrays
) -> None:
    assert "not part of the published benchmark" in write_card(manifest, calibration, {})


def test_a_recipe_that_was_benchmarked_gets_its_recall_and_blind_spots(
    manifest: Manifest, calibration: Arrays, benchmark: Config
) -> None:
    configuration = benchmark.model_dump(mode="json")
    text = write_card(manifest.model_copy(update={"configuration": configuration}), calibration, {})
    assert "The same recipe on 3 simulated skies of 40 petals" in text
    assert "| kind | wmse | p_value |\n|---|---|---|\n| blend | 0.25 | 0.50 |\n" in text
    assert "| macro | 0.38 | 0.75 |" in text
    missed = [line for line in text.splitlines() if "found in the benchmark" in line]
    assert missed == ["- blend: 50% found in the benchmark."]


def test_the_published_benchmark_is_that_of_recipes_one_can_fit(
    manifest: Manifest, calibration: Arrays
) -> None:
    known = json.loads(BENCHMARK.read_text())
    assert known
    for entry in known.values():
        configuration = Config.model_validate(entry["configuration"]).model_dump(mode="json")
        text = write_card(
            manifest.model_copy(update={"configuration": configuration}), calibration, {}
        )
        assert "| macro | " in text
        assert f" {entry['recall_at_1pct']['p_value']['macro']:.2f} |" in text


def test_a_recalibrated_model_names_the_bundle_it_came_from(
    manifest: Manifest, calibration: Arrays
) -> None:
    assert "Recalibrated" not in write_card(manifest, calibration, {})
    recalibrated = manifest.model_copy(update={"calibrated_from": "f" * 64})
    text = write_card(recalibrated, calibration, {})
    assert f"the networks are those of the bundle with sha256 {'f' * 64}." in text
    assert text.count("| rows left after |  |") == 2


def test_the_table_of_classes_stands_beside_the_papers_values() -> None:
    rows = class_rows({"STAR": {"n": 3, "mean": 1.23456, "median": 1.0}})
    assert rows == [("STAR", "3", "1.235", "1.000", str(PAPER_WMSE["STAR"]))]
