"""A plan is fitted and compared with the paper; a simulated one comes out as different."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from model_store.bundle import Bundle
from outcrop import Status, find_petals, read_spectra
from outcrop.plan import Plan
from outcrop.scores import INELIGIBLE
from review.coadds import Coadds
from review.night import ReviewNight
from scoring.scorer import Scorer
from tests.conftest import ROOT
from training.evaluation.scale import write_plan
from training.model.cache import cache_root
from training.model.config import load_config
from training.model.dataset import read_samples
from training.reproduction.agreement import Agreement
from training.reproduction.published import published
from training.reproduction.recipe_scores import RecipeScores
from training.reproduction.report import write_report
from training.reproduction.top import write_top

_LONGEST = 600
pytestmark = pytest.mark.timeout(_LONGEST)

Reproduce = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(sky: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sky with its plan, and two recipes."""
    folder = tmp_path_factory.mktemp("reproduction")
    shutil.copytree(sky, folder / "sky")
    write_plan(folder / "sky", folder / "plan.ecsv")
    recipe = tiny.read_text()
    (folder / "theirs.toml").write_text(recipe.replace("epochs = 4", "epochs = 2"))
    (folder / "ours.toml").write_text(recipe)
    return folder


@pytest.fixture(scope="module")
def reproduce(folder: Path) -> Reproduce:
    """A function that runs the command on the plan, or another one."""

    def run(plan: str = "plan.ecsv", second: str = "ours.toml") -> CompletedProcess[str]:
        command = (sys.executable, "-m", "training", "reproduce", folder / plan)
        options = ("--output", folder / "out", "--recipes", folder / "theirs.toml", folder / second)
        # Two fits and the figures, a minute where nothing else runs.
        return subprocess.run(
            [str(one) for one in (*command, *options)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_LONGEST - 20,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def output(folder: Path, reproduce: Reproduce) -> Path:
    done = reproduce()
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"report: {folder / 'out' / 'reproduction.md'}\n"
    return folder / "out"


@pytest.fixture(scope="module")
def numbers(output: Path) -> dict[str, Any]:
    return json.loads((output / "reproduction.json").read_text())


def test_a_simulated_sky_is_different_and_the_report_says_so(
    output: Path, numbers: dict[str, Any]
) -> None:
    text = (output / "reproduction.md").read_text()
    assert "**This is a simulated sky, not DESI.**" in text
    assert "0 of 4 outliers and 0 of 10 inliers agree" in text.replace("\n", " ")
    agree = [one["name"] for one in numbers["numbers"] if one["agrees"]]
    assert not set(agree) & {"spectra", "training", "wmse_all", "threshold_nof"}
    assert f"{len(agree)} of 17 numbers" in text
    assert text.count("| **different** |") == 17 - len(agree) + 4 + 10
    assert text.count("| agrees |") == len(agree)
    for one in numbers["numbers"]:
        # So few spectra may have no quasar that is not trained on.
        found = math.inf if one["found"][0] is None else one["found"][0]
        assert one["agrees"] == (abs(found - one["paper"]) <= one["tolerance"]), one


def test_the_numbers_of_the_first_recipe_are_those_of_its_model(
    output: Path, sky: Path, numbers: dict[str, Any]
) -> None:
    # Of the files themselves, with the noise as they report it.
    petals = [read_spectra(petal.coadd, petal.redrock) for petal in find_petals(sky)]
    bundle = Bundle.open(output / "theirs")
    scorer = Scorer(bundle)
    scores = [scorer.score(petal) for petal in petals]
    # Beyond the calibrated range of S/N there is no p-value, but there are scores.
    bits = int(INELIGIBLE & ~Status.EXTRAPOLATED)
    eligible = np.concatenate([((one.status & bits) == 0) & (one.snr > 5) for one in scores])
    wmse = np.concatenate([one.wmse for one in scores])[eligible]
    snr = np.concatenate([one.snr for one in scores])[eligible]
    spectype = np.concatenate([petal.spectype for petal in petals if petal.spectype is not None])
    targetid = np.concatenate([one.targetid for one in scores])[eligible]
    trained = np.isin(targetid, bundle.arrays("training_targetids.npz")["targetids"])

    found = {one["name"]: one["found"][0] for one in numbers["numbers"]}
    assert found["spectra"] == eligible.sum()
    assert found["training"] == trained.sum()
    assert found["share_STAR"] == pytest.approx(100 * np.mean(spectype[eligible] == "STAR"))
    assert found["threshold_wmse"] == pytest.approx(np.quantile(wmse[trained], 0.99), rel=1e-4)
    assert found["largest_wmse"] == pytest.approx(wmse[trained].max(), rel=1e-4)
    top = np.argsort(-wmse[trained])[:100]
    assert found["top_wmse_snr"] == pytest.approx(np.median(snr[trained][top]), rel=1e-4)
    assert bundle.manifest.configuration["sample"]["noise_correction"] is False


def test_the_review_opens_the_list_of_the_most_anomalous(output: Path) -> None:
    night = ReviewNight.read(output / "top")
    assert night.model.sha256 == Bundle.open(output / "ours").sha256
    listed: Any = Table.read(output / "top" / "toplist.ecsv")
    first = night.columns["targetid"][:50].tolist()
    assert [int(one) for one in listed["TARGETID"][:50]] == first
    assert len(listed) == 200
    spectra = Coadds(night).read(0)
    assert spectra.targetid.tolist() == first[:1]


def test_the_figures_are_drawn(output: Path) -> None:
    page = (output / "figures" / "index.html").read_text()
    assert "histogram_wmse.png" in page
    assert "nothing here measures performance on DESI" in page.replace("\n", " ")
    assert not (output / "figures.work").exists()


def test_what_is_there_is_not_made_again_and_needs_no_petal(
    folder: Path, output: Path, reproduce: Reproduce
) -> None:
    made = [path for path in output.rglob("*") if path.suffix in (".onnx", ".fits")]
    made += (output / "figures").iterdir()
    before = {path: path.stat().st_mtime_ns for path in made}
    report = (output / "reproduction.md").read_text()
    (folder / "sky").rename(folder / "away")
    try:
        done = reproduce()
    finally:
        (folder / "away").rename(folder / "sky")
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == before
    again = (output / "reproduction.md").read_text()
    assert again == report.replace("4 of them now", "0 of them now")


def test_of_a_plan_that_is_elsewhere_the_report_says_how_to_see_the_spectra(
    folder: Path, output: Path, tmp_path: Path
) -> None:
    config, plan = load_config(folder / "ours.toml"), folder / "plan.ecsv"
    (sample,) = read_samples([plan], [config], cache_root())
    recipe = RecipeScores.of(Bundle.open(output / "ours"), sample, config)
    shutil.copytree(output / "top", tmp_path / "top")

    # Its tables are there: nothing is fetched.
    root = "https://data.example/iron"
    summary = write_top(Plan.read(plan, root=root), recipe, tmp_path / "top")
    assert Table.read(tmp_path / "top" / "summary.ecsv").meta["root"] == root

    found = Agreement.of(published(), [recipe])
    for where in (root, str(folder)):
        text = write_report(tmp_path, {"ours": recipe}, found, summary, where).read_text()
        assert (f"The files are at {root}" in text) == (where == root)
        assert ("--tree copied" in text) == (where == root)


def test_another_plan_does_not_go_into_the_same_folder(
    folder: Path, output: Path, reproduce: Reproduce
) -> None:
    lines = (folder / "plan.ecsv").read_text().splitlines()
    (folder / "shorter.ecsv").write_text("\n".join(lines[:-1]) + "\n")
    done = reproduce("shorter.ecsv")
    assert done.returncode == 1
    assert f"{output / 'theirs'} is of another plan or recipe" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_recipes_of_one_name_are_refused(output: Path, reproduce: Reproduce) -> None:
    done = reproduce(second="theirs.toml")
    assert done.returncode == 1
    assert "the name theirs is taken" in done.stderr
