"""Petals of one simulated sky, shared by the tests of its modules."""

import csv
from pathlib import Path

import pytest

from tests.training.sky.helpers import SEED
from training.sky.files import SimulatedPetal
from training.sky.petals import make_petal, simulate
from training.sky.targets import Targets


@pytest.fixture(scope="session")
def injected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two petals, half of whose targets are injected."""
    folder = tmp_path_factory.mktemp("injected")
    simulate(folder, petals=2, seed=SEED, anomalies=0.5)
    return folder


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated release: two petals of a tile, two healpix files, and their catalogues."""
    folder = tmp_path_factory.mktemp("release")
    simulate(folder, 2, SEED, 0.5, layouts=("tiles", "healpix"), fibers=60, zcatalog=True)
    return folder


@pytest.fixture(scope="session")
def truth(injected: Path) -> dict[int, dict[str, str]]:
    """Rows of truth.csv by TARGETID."""
    with (injected / "truth.csv").open() as file:
        return {int(row["TARGETID"]): row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def made() -> tuple[SimulatedPetal, Targets]:
    """One petal of a clean sky in memory, and the truth about its targets."""
    return make_petal(SEED, 1, nuisances=0)
