"""The figures of a small model, drawn once for all tests of the plots."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

from scoring.scorer import Scorer
from training.plots import style
from training.plots.figures import figures


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    """Draw with the sizes and fonts of the figures."""
    with mpl.rc_context(style.RC):
        yield


@pytest.fixture(scope="session")
def drawn(bundle: Path, odd_sky: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All files drawn of the odd sky, index.html first."""
    return figures(bundle, odd_sky, tmp_path_factory.mktemp("figures") / "new")


@pytest.fixture(scope="session")
def scorer(bundle: Path) -> Scorer:
    """The scorer of the model."""
    return Scorer.open(bundle)
