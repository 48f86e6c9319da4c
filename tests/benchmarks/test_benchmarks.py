"""The benchmarks' machinery, with sizes too small to mean anything."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from benchmarks.reference import Plain
from benchmarks.report import page, report
from benchmarks.results import Results, Table, Target
from model_store.bundle import Bundle
from outcrop import Band, Spectra
from scoring.scorer import Scorer

# Keras and TensorFlow use what Python and NumPy will drop one day.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def unspoilt(spectra: Spectra) -> Spectra:
    """Targets of the petal without a bad pixel, which the plain way would not infill."""
    chosen = spectra.rows(np.flatnonzero((spectra.status == 0) & (np.abs(spectra.z - 0.15) < 0.14)))
    bands = {
        name: Band(band.flux, np.where(band.ivar > 0, band.ivar, np.float32(0.01)))
        for name, band in chosen.rows(slice(0, 12)).bands.items()
    }
    for band in bands.values():
        band.flux[band.flux == 0] = 1
    return replace(chosen.rows(slice(0, 12)), bands=bands)


def test_the_plain_way_gives_the_same_scores(bundle: Path, spectra: Spectra) -> None:
    opened = Bundle.open(bundle)
    few = unspoilt(spectra)
    wmse, nof = Plain(opened).score(few)
    scores = Scorer(opened).score(few)
    whole = scores.coverage == 1
    assert whole.sum() > 8
    np.testing.assert_allclose(wmse[whole], scores.wmse[whole], rtol=1e-4)
    np.testing.assert_allclose(nof[whole], scores.nof[whole], rtol=1e-4)


def test_a_quick_run_measures_ratios_in_process_and_through_http(
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


def test_an_unknown_stage_is_refused(command: Callable[..., CompletedProcess[str]]) -> None:
    done = command("-m", "benchmarks", "--quick", "speed")
    assert done.returncode == 2
    assert "no stage is called speed; there are inprocess" in done.stderr


def test_a_target_that_does_not_hold_is_shown_as_such(tmp_path: Path) -> None:
    results = Results({"cores": 2})
    results.add(Target("against the plain way", 74.0, 75, "times"))
    results.add(Target("p50", 4.2, 5, "ms", at_most=True))
    results.add(Table("Sizes", ("", "spectra/s"), [("scorer", 12000)], "A note."))
    results.write(tmp_path / "results.json")
    text = report(Results.read(tmp_path / "results.json"))
    assert "| against the plain way | 74 times | at least 75 times | **no** |" in text
    assert "| p50 | 4.2 ms | at most 5 ms | yes |" in text
    assert "| scorer | 12,000 |" in text
    assert page(results).endswith(text)
