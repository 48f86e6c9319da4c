"""A night with the served process: a killed and restarted service loses no row."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from outcrop import Petal, Scores
from outcrop.cli import main
from outcrop.night.tables import make_table
from tests.service.restartable import RestartableService

TILE = "tiles/cumulative/80613/20210324"


@pytest.fixture
def restartable(bundle: Path, tmp_path: Path) -> Iterator[RestartableService]:
    service = RestartableService(bundle, tmp_path)
    try:
        service.start()
        yield service
    finally:
        service.stop()


@pytest.fixture
def tree(petal: Petal, tmp_path: Path) -> Path:
    """A petal of the simulated sky, cut into ten of 50 spectra."""
    folder = tmp_path / "tree" / TILE
    folder.mkdir(parents=True)
    for kind, path in (("coadd", petal.coadd), ("redrock", petal.redrock)):
        hdus: Any = fits.open(path, memmap=False)
        with hdus:
            for number in range(10):
                cut: Any = fits.HDUList([hdu.copy() for hdu in hdus])
                for hdu in cut[1:]:
                    if not hdu.name.endswith("WAVELENGTH"):
                        hdu.data = hdu.data[50 * number : 50 * (number + 1)]
                cut.writeto(folder / f"{kind}-{number}-80613-thru20210324.fits")
    return tmp_path / "tree"


def night(root: Path, output: Path, url: str) -> int:
    return main(["night", str(root), "--output", str(output), "--url", url, "--workers", "2"])


def rows(path: Path, name: str) -> Any:
    return fits.getdata(path, name)


def test_a_killed_and_restarted_service_loses_no_row(
    restartable: RestartableService,
    tree: Path,
    petal: Petal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calm, output = tmp_path / "calm", tmp_path / "out"
    assert night(tree, calm, restartable.url) == 0

    begun = itertools.count(1)
    restart = threading.Thread(target=restartable.start)

    def interrupted(*arguments: Any) -> Scores:
        # While one worker begins its petal the other is somewhere in its own.
        if next(begun) == 4:
            restartable.kill()
            restart.start()
        return make_table(*arguments)

    monkeypatch.setattr("outcrop.night.run.make_table", interrupted)
    status = night(tree, output, restartable.url)
    restart.join()
    out, err = capsys.readouterr()
    assert status == 0, err
    assert "cannot be reached" in err
    assert "10 petals: 10 scored, 10 of them now; 0 failed, 0 waiting\n500 spectra" in out

    # Every row is there once, and equal to that of the calm night.
    tables = sorted(output.rglob("outliers-*.fits"))
    found = [rows(path, "OUTLIERS") for path in tables]
    redrock = rows(petal.redrock, "REDSHIFTS")["TARGETID"].tolist()
    assert [one for table in found for one in table["TARGETID"].tolist()] == redrock
    for path, table in zip(sorted(calm.rglob("outliers-*.fits")), found, strict=True):
        assert rows(path, "OUTLIERS").tobytes() == table.tobytes()
    for name in ("summary.ecsv", "toplist.ecsv", "targets.txt"):
        assert (output / name).read_text() == (calm / name).read_text()
