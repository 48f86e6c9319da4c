"""A small simulated sky and a model fitted to it, shared by the tests of training."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

TINY = """
[grid]
bins = 250

[split]
validation = 0.25

[infill]
components = 5

[network]
latents = 4
hidden = [32]
dropout = 0.0
linear_path = true

[fit]
epochs = 3
batch_size = 64
schedule = "cosine"
"""


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep prepared spectra of the tests out of the repository's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTCROP_CACHE", os.fspath(folder))
        yield folder


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two petals without anomalies; beside them truth.csv, which must never be read."""
    from training.sky.petals import simulate

    folder = tmp_path_factory.mktemp("sky")
    simulate(folder, petals=2, seed=7)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that fits in seconds; validation spectra calibrate."""
    path = tmp_path_factory.mktemp("configuration") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def bundle(sky: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that `fit` makes of the sky."""
    from training.model.config import load_config
    from training.model.pipeline import fit_bundle

    return fit_bundle([sky], tmp_path_factory.mktemp("models") / "tiny", load_config(tiny))
