"""The benchmarks run end to end, with sizes too small for their numbers to mean anything."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from benchmarks.reference import ReferenceScorer
from benchmarks.report import documentation, report
from benchmarks.results import Results, ResultTable, Target
from model_store.bundle import Bundle
from outcrop import Band, Spectra
from scoring.scorer import Scorer

# Keras and TensorFlow use deprecated functions of Python and NumPy.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.long]


def without_bad_pixels(spectra: Spectra) -> Spectra:
    """Return targets of the petal without bad pixels, which the reference does not infill."""
    chosen = spectra[np.flatnonzero((spectra.status == 0) & (np.abs(spectra.z - 0.15) < 0.14))]
    bands = {
        name: Band(band.flux, np.where(band.ivar > 0, band.ivar, np.float32(0.01)))
        for name, band in chosen[:12].bands.items()
    }
    for band in bands.values():
        band.flux[band.flux == 0] = 1
    return replace(chosen[:12], bands=bands)


def test_the_reference_implementation_gives_the_same_scores(bundle: Path, spectra: Spectra) -> None:
    opened = Bundle.open(bundle)
    few = without_bad_pixels(spectra)
    wmse, nof = ReferenceScorer(opened).score(few)
    scores = Scorer(opened).score(few)
    whole = scores.coverage == 1
    assert whole.sum() > 8
    np.testing.assert_allclose(wmse[whole], scores.wmse[whole], rtol=1e-4)
    np.testing.assert_allclose(nof[whole], scores.nof[whole], rtol=1e-4)


def test_a_quick_run_measures_ratios_in_process_and_over_http(
    bundle: Path, odd_sky: Path, tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    output = tmp_path / "results.json"
    options = ("--quick", "--sky", odd_sky, "--model", bundle, "--output", output)
    done = command("-m", "benchmarks", *options, "inprocess", "stages", "serving")
    assert done.returncode == 0, done.stderr
    results = Results.read(output)
    assert [target.unit for target in results.targets] == ["times", "%", "%", "ms"]
    assert all(target.value > 0 for target in results.targets)
    titles = [table.title for table in results.tables]
    assert [title.partition(":")[0] for title in titles[:2]] == ["In process", "Stages"]
    assert titles[-1] == "Peak memory"
    assert all(title in done.stdout for title in titles)


def test_a_quick_run_measures_a_release(
    bundle: Path, odd_sky: Path, tmp_path: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    output = tmp_path / "results.json"
    options = ("--quick", "--sky", odd_sky, "--model", bundle, "--output", output)
    done = command("-m", "benchmarks", *options, "release")
    assert done.returncode == 0, done.stderr
    results = Results.read(output)
    assert [target.unit for target in results.targets] == ["spectra/s", "%", "times", "MB"]
    assert all(target.value > 0 for target in results.targets)
    (table,) = results.tables
    assert table.title == "A release of 4 petals"
    assert [row[0] for row in table.rows] == [1, 2]


def test_an_unknown_stage_is_an_error(command: Callable[..., CompletedProcess[str]]) -> None:
    done = command("-m", "benchmarks", "--quick", "speed")
    assert done.returncode == 2
    assert "unknown stage speed; expected one of inprocess" in done.stderr


def test_a_missed_target_is_reported_as_missed(tmp_path: Path) -> None:
    results = Results({"cores": 2})
    results.add(Target("speed", 74.0, 75, "times"))
    results.add(Target("p50", 4.2, 5, "ms", at_most=True))
    results.add(ResultTable("Speed", ("", "spectra/s"), [("scorer", 12000)], "A note."))
    results.write(tmp_path / "results.json")
    text = report(Results.read(tmp_path / "results.json"))
    assert "| speed | 74 times | at least 75 times | **no** |" in text
    assert "| p50 | 4.2 ms | at most 5 ms | yes |" in text
    assert "| scorer | 12,000 |" in text
    assert documentation(results).endswith(text)
