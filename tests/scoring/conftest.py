"""The shared model's scorer."""

from pathlib import Path

import pytest

from scoring.scorer import Scorer


@pytest.fixture(scope="session")
def scorer(bundle: Path) -> Scorer:
    return Scorer.open(bundle)
