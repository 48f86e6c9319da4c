"""The figures of a small model, drawn once for all tests of the plots."""

from pathlib import Path

import pytest

from scoring.scorer import Scorer
from training.plots.figures import figures


@pytest.fixture(scope="session")
def drawn(bundle: Path, odd_sky: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All files drawn of the odd sky, index.html first."""
    return figures(bundle, odd_sky, tmp_path_factory.mktemp("figures") / "new")


@pytest.fixture(scope="session")
def scorer(bundle: Path) -> Scorer:
    """The scorer of the model."""
    return Scorer.open(bundle)
