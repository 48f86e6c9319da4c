"""One evaluation with everything switched on, shared by the tests, and the scores it rests on."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from outcrop import Scores, correct_noise, read_spectra
from outcrop.desi import Petal
from scoring.scorer import Scorer
from training.evaluation.evaluate import evaluate
from training.evaluation.results import LabelledEvaluation
from training.truth import Truth


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON file that `result` is written to."""
    return tmp_path_factory.mktemp("numbers") / "evaluation.json"


@pytest.fixture(scope="session")
def result(bundle: Path, odd_sky: Path, sky: Path, numbers: Path) -> LabelledEvaluation:
    """With baselines, and the same model standing in for the paper's."""
    result = evaluate(bundle, odd_sky, numbers, train=[sky], paper=bundle)
    assert isinstance(result, LabelledEvaluation)
    return result


@pytest.fixture(scope="session")
def served(bundle: Path, petal: Petal) -> Scores:
    """What the model's scorer returns for the odd sky's petal."""
    spectra = correct_noise(read_spectra(petal.coadd, petal.redrock))
    return Scorer.open(bundle).score(spectra, reconstruction=True)


@pytest.fixture(scope="session")
def kind(odd_sky: Path, served: Scores) -> NDArray[np.str_]:
    """What was injected in each of these spectra; ``unknown`` for sky fibers."""
    return Truth.read(odd_sky / "truth.csv").kinds(served.targetid)


@pytest.fixture
def unlabelled(tmp_path: Path, petal: Petal) -> Path:
    """The odd sky's petal in a folder without truth.csv."""
    for path in (petal.coadd, petal.redrock):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path
