"""What the tests share: a simulated sky, and a real if small model trained on it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from outcrop import Spectra, read_spectra
from outcrop.desi import Petal, find_petals

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project from its root, as a user would; its output is kept."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run`, for tests of the command lines."""
    return run


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two petals: inliers only."""
    folder = tmp_path_factory.mktemp("sky") / "train"
    done = run("-m", "training", "simulate", folder, "--petals", "2", "--seed", "1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def odd_sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One petal of another seed, a tenth of its targets injected."""
    folder = tmp_path_factory.mktemp("sky") / "test"
    done = run(
        "-m", "training", "simulate", folder, "--petals", "1", "--seed", "2", "--anomalies", "0.1"
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def petal(odd_sky: Path) -> Petal:
    """Coadd and redrock file of the odd sky."""
    return find_petals(odd_sky)[0]


@pytest.fixture(scope="session")
def spectra(petal: Petal) -> Spectra:
    """The petal's 500 spectra."""
    return read_spectra(petal.coadd, petal.redrock)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, sky: Path) -> Path:
    """A bundle trained for a few epochs on the sky."""
    folder = tmp_path_factory.mktemp("model")
    done = run(
        "-m",
        "training",
        "fit",
        sky,
        "--output",
        folder / "bundle",
        "--config",
        ROOT / "tests" / "tiny.toml",
        OUTCROP_CACHE=str(folder / "cache"),
    )
    assert done.returncode == 0, done.stderr
    return folder / "bundle"


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real DESI files; tests that need it skip where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"no real DESI files: {REAL} is absent")
    return REAL
