"""From petals to a bundle: complete, reproducible, continued after a kill, without truth.csv."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from model_store.bundle import Bundle
from outcrop import Scores, Status, correct_noise, find_petals, read_spectra
from outcrop.scores import INELIGIBLE
from scoring.scorer import Scorer
from scoring.training_targetids import TrainingTargetids
from training import TrainingError
from training.__main__ import main
from training.model.cache import cache_root
from training.model.config import load_config
from training.model.dataset import read_sample, split
from training.model.pipeline import fit_bundle

pytestmark = pytest.mark.long


def scores_of(bundle: Path, sky: Path) -> Scores:
    scorer = Scorer.open(bundle)
    petals = [correct_noise(read_spectra(p.coadd, p.redrock)) for p in find_petals(sky)]
    return Scores.concatenate([scorer.score(petal) for petal in petals])


@pytest.fixture(scope="module")
def scores(bundle: Path, sky: Path) -> Scores:
    return scores_of(bundle, sky)


def best_per_target(scores: Scores) -> Scores:
    """Leave the spectrum with the highest S/N of each target."""
    order = np.argsort(-scores.snr, kind="stable")
    _, first = np.unique(scores.targetid[order], return_index=True)
    return scores[order[first]]


def history(bundle: Path) -> list[dict[str, float]]:
    report = bundle.with_name(f"{bundle.name}-report") / "report.json"
    return json.loads(report.read_text())["history"]


def test_the_manifest_describes_the_fit(bundle: Path, sky: Path) -> None:
    manifest = Bundle.open(bundle).manifest
    assert manifest.sample.label == "simulated"
    assert manifest.configuration["network"]["hidden"] == [64, 32]
    assert manifest.latents == 4
    assert manifest.grid.bins == 250
    assert manifest.redshift_range == (-0.002, 0.3)

    counts = manifest.sample.counts
    assert counts["rows"] == 2000
    parts = ("training", "validation", "calibration", "faint")
    assert all(counts[part] > 0 for part in parts)
    assert sum(counts[part] for part in parts) <= counts["unique"]
    assert {"tensorflow", "scikit-learn", "tf2onnx"} <= set(manifest.packages)
    trained = TrainingTargetids.of(Bundle.open(bundle)).targetids
    assert len(trained) == counts["training"]


def test_every_eligible_spectrum_gets_scores(scores: Scores, bundle: Path) -> None:
    assert scores.eligible.sum() > 1200
    for name in ("wmse", "nof", "p_value"):
        assert np.isfinite(getattr(scores, name)[scores.eligible]).all()
    trained = (scores.status & Status.IN_TRAINING) != 0
    # A few targets lie on more than one petal.
    targets = np.unique(scores.targetid[trained])
    assert len(targets) == Bundle.open(bundle).manifest.sample.counts["training"]


def test_thresholds_are_quantiles_of_spectra_that_were_not_trained_on(
    scores: Scores, bundle: Path, sky: Path, tiny: Path
) -> None:
    manifest = Bundle.open(bundle).manifest
    sample = read_sample([sky], load_config(tiny), cache_root())
    parts = split(sample, load_config(tiny))
    for members, thresholds in (
        (parts.calibration, manifest.thresholds),
        (parts.training, manifest.paper_thresholds),
    ):
        chosen = np.isin(scores.targetid, sample.rows["targetid"][members])
        # A few training spectra are brighter than all calibration spectra.
        bits = int(INELIGIBLE & ~Status.EXTRAPOLATED)
        chosen &= ((scores.status & bits) == 0) & (scores.snr >= 5)
        best = best_per_target(scores[chosen])
        assert thresholds.wmse == pytest.approx(np.quantile(best.wmse, 0.99), rel=1e-4)
        assert thresholds.nof == pytest.approx(np.quantile(best.nof, 0.01), rel=1e-4)


def test_the_report_stands_beside_the_bundle(bundle: Path) -> None:
    folder = bundle.with_name(f"{bundle.name}-report")
    report = json.loads((folder / "report.json").read_text())
    classes = report["wmse"]
    assert classes["all"]["n"] == sum(row["n"] for name, row in classes.items() if name != "all")
    assert len(report["history"]) == 4
    text = (folder / "report.md").read_text()
    assert "not DESI performance" in text
    assert f"| GALAXY | {classes['GALAXY']['n']} | {classes['GALAXY']['mean']:.3f} |" in text
    for name in ("losses", "wmse", "nof", "reconstructions", "map"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
    assert not bundle.with_name(f"{bundle.name}.work").exists()


def test_the_same_seed_gives_the_same_model_and_truth_is_never_read(
    bundle: Path, sky: Path, tiny: Path, tmp_path: Path
) -> None:
    blind = tmp_path / "sky"
    shutil.copytree(sky / "tiles", blind / "tiles")
    # Opening this as a file would fail.
    (blind / "truth.csv").mkdir()
    again = fit_bundle([blind], tmp_path / "again", load_config(tiny))
    for name in ("density.npz", "eigenspectra.npz", "calibration.npz"):
        ours: dict[str, Any] = Bundle.open(again).arrays(name)
        theirs: dict[str, Any] = Bundle.open(bundle).arrays(name)
        assert set(ours) == set(theirs)
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-4, atol=1e-5)
    assert history(again)[-1]["validation_loss"] == pytest.approx(
        history(bundle)[-1]["validation_loss"], abs=1e-3
    )


def test_a_killed_fit_is_continued_by_the_same_command(
    bundle: Path, sky: Path, tiny: Path, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    command = ["fit", os.fspath(sky), "--output", os.fspath(output), "--config", os.fspath(tiny)]
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        work = output.with_name("killed.work")
        while process.poll() is None and not list(work.glob("*.npz")):
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert list(work.glob("*.npz")), "the fit ended before its first checkpoint"
    assert not output.exists()
    assert main(command) == 0
    assert not work.exists()
    for ours, theirs in zip(history(output), history(bundle), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-3)


def test_another_redshift_range_grid_and_latent_size(sky: Path, tmp_path: Path) -> None:
    far = tmp_path / "sky"
    shutil.copytree(sky, far)
    for petal in find_petals(far):
        with fits.open(petal.redrock, mode="update") as hdus:
            table: Any = hdus["REDSHIFTS"]
            z = table.data["Z"]
            # Wrong for these galaxies, which does not matter here.
            z[z > 0.01] = 0.3 + z[z > 0.01] / 1.5

    config = tmp_path / "far.toml"
    config.write_text(
        "[grid]\nfirst = 2800.0\nlast = 6500.0\nbins = 300\n"
        "[sample]\nredshift_range = [0.3, 0.5]\n"
        "[split]\ncalibration = 0.5\n"
        "[network]\nlatents = 8\nhidden = [24]\nlinear_path = true\ndropout = 0.0\n"
        "[fit]\nepochs = 1\nbatch_size = 64\n"
    )
    bundle = fit_bundle([far], tmp_path / "far", load_config(config))

    scores = scores_of(bundle, far)
    assert scores.latent.shape == (2000, 8)
    assert scores.eligible.sum() > 1000
    assert np.isfinite(scores.p_value[scores.eligible]).all()
    near = scores_of(bundle, sky)
    assert ((near.status & Status.Z_OUT_OF_RANGE) != 0).sum() > 1400


def test_an_existing_bundle_is_not_overwritten(bundle: Path, sky: Path, tiny: Path) -> None:
    before = Bundle.open(bundle).sha256
    with pytest.raises(TrainingError, match="exists already; remove it or choose another"):
        fit_bundle([sky], bundle, load_config(tiny))
    assert Bundle.open(bundle).sha256 == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "nowhere", "--output", "x"], "nowhere"),
        (["fit", ".", "--output", "x", "--config", "no"], "configuration 'no' cannot be read"),
    ],
)
def test_mistakes_give_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("outcrop: error: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulate", "x", "--petals", "0", "--seed", "1"], "'0' is not a whole number"),
        (["simulate", "x", "--petals", "1", "--seed", "-1"], "'-1' is not a whole number"),
        (["simulate", "x", "--petals", "1", "--seed", "1", "--anomalies", "2"], "'2' is not a num"),
    ],
)
def test_arguments_out_of_range_are_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_an_example_without_loading_tensorflow() -> None:
    code = "import sys; from training.__main__ import main; main(['--help'])"
    checked = code.replace("main(['--help'])", "\ntry:\n main(['--help'])\nexcept SystemExit:\n")
    checked += " sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", checked], capture_output=True, text=True)
    assert done.returncode == 0
    assert "python -m training fit sky/train --output models/first" in done.stdout
