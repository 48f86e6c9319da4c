"""A small simulated release."""

from collections.abc import Callable
from pathlib import Path

import pytest

from training.sky.petals import simulate


@pytest.fixture(scope="session")
def simulated_release(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Two petals of a tile and two healpix files, and the catalogues of both layouts."""

    def make(folder: Path) -> None:
        simulate(folder, 2, 5, layouts=("tiles", "healpix"), fibers=30, zcatalog=True)

    return once("simulated_release", make)
