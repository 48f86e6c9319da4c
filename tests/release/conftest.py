"""A small release: a petal of the simulated sky, cut into six of 20 spectra."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from model_store.bundle import Bundle
from outcrop import Petal
from outcrop.plan import Plan, PlannedPetal
from release.petal import ScoringOptions
from release.run import Totals, score_release

TILE = "tiles/cumulative/80613/20210324"
SPECTRA = 20


@pytest.fixture(scope="session")
def made_release(petal: Petal, once: Callable[..., Path]) -> Path:
    """The folder of the small release; not to be changed."""

    def cut(root: Path) -> None:
        folder = root / TILE
        folder.mkdir(parents=True)
        for kind, path in (("coadd", petal.coadd), ("redrock", petal.redrock)):
            hdus: Any = fits.open(path, memmap=False)
            with hdus:
                for number in range(6):
                    rows = slice(SPECTRA * number, SPECTRA * (number + 1))
                    part: Any = fits.HDUList([hdu.copy() for hdu in hdus])
                    for hdu in part[1:]:
                        if not hdu.name.endswith("WAVELENGTH"):
                            hdu.data = hdu.data[rows]
                    part.writeto(folder / f"{kind}-{number}-80613-thru20210324.fits")

    return once("release", cut)


def plan_of(root: Path) -> Plan:
    """A plan of all petals of tiles below a folder, in which sizes are as they are."""
    coadds = sorted(root.glob("tiles/**/coadd-*.fits"))
    return Plan(
        str(root),
        tuple(
            PlannedPetal(
                coadd.relative_to(root).as_posix(),
                coadd.relative_to(root).as_posix().replace("coadd-", "redrock-"),
                spectra=SPECTRA,
                size=coadd.stat().st_size,
            )
            for coadd in coadds
        ),
    )


@pytest.fixture
def plan(made_release: Path, tmp_path: Path) -> Plan:
    """A plan of a copy of the small release."""
    shutil.copytree(made_release, tmp_path / "release")
    return plan_of(tmp_path / "release")


@pytest.fixture(scope="session")
def options(bundle: Path) -> ScoringOptions:
    return ScoringOptions(str(bundle), Bundle.open(bundle).sha256)


@pytest.fixture(scope="session")
def score() -> Callable[..., Totals]:
    """`score_release` with two threads of this process."""

    def score(plan: Plan, output: Path, options: ScoringOptions, **more: Any) -> Totals:
        with ThreadPoolExecutor(2) as executor:
            return score_release(plan, executor, output, options, **more)

    return score


def tables(output: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every score table below a folder, by its path there."""
    found = {path: path.stat() for path in output.rglob("outliers-*.fits")}
    return {
        path.relative_to(output).as_posix(): (stat.st_ino, stat.st_mtime_ns)
        for path, stat in found.items()
    }


def content(table: Path) -> list[Any]:
    """All bytes of a table but the time when it was written, and the checksum of that."""
    hdus: Any = fits.open(table, memmap=False)
    with hdus:
        dated = ("DATE", "CHECKSUM", "DATASUM")
        cards = [card.image for card in hdus[0].header.cards if card.keyword not in dated]
        return [cards, *((hdu.header.tostring(), hdu.data.tobytes()) for hdu in hdus[1:])]
