"""A night with served processes: a killed one loses no row, another model mixes no scores."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from model_store.bundle import Bundle
from outcrop import Petal, find_petals, read_spectra
from outcrop.cli import main
from outcrop.night.retries import RetryingClient
from outcrop.night.run import Night
from outcrop.night.tables import make_table
from scoring.scorer import Scorer
from tests.conftest import RECIPE
from tests.service.balancer import Balancer
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


@pytest.fixture(scope="session")
def other_bundle(once: Callable[..., Path], command: Callable[..., Any], sky: Path) -> Path:
    """The bundle of another model, of the same sky."""

    def fit(folder: Path) -> None:
        folder.mkdir()
        recipe = folder / "other.toml"
        recipe.write_text(RECIPE.read_text().replace("latents = 4", "latents = 3"))
        arguments = ("fit", sky, "--output", folder / "bundle", "--config", recipe)
        done = command("-m", "training", *arguments)
        assert done.returncode == 0, done.stderr

    return once("other_model", fit) / "bundle"


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


@pytest.mark.parametrize("moment", ["petal", "explanation"])
def test_a_killed_and_restarted_service_loses_no_row(
    restartable: RestartableService,
    tree: Path,
    petal: Petal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
) -> None:
    calm, output = tmp_path / "calm", tmp_path / "out"
    assert night(tree, calm, restartable.url) == 0

    begun = itertools.count(1)
    restart = threading.Thread(target=restartable.start)

    def interrupted(work: Callable[..., Any]) -> Callable[..., Any]:
        def kill_and_work(*arguments: Any) -> Any:
            # While one worker begins this the other is somewhere in its petal.
            if next(begun) == 4:
                restartable.kill()
                restart.start()
            return work(*arguments)

        return kill_and_work

    place, work = {
        "petal": ("outcrop.night.run.make_table", make_table),
        "explanation": ("outcrop.night.retries.RetryingClient.explain", RetryingClient.explain),
    }[moment]
    monkeypatch.setattr(place, interrupted(work))
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
    assert sum(np.count_nonzero(table["ANOMALY"]) for table in found) > 3
    for path, table in zip(sorted(calm.rglob("outliers-*.fits")), found, strict=True):
        assert rows(path, "OUTLIERS").tobytes() == table.tobytes()
        assert ((table["CAUSE"] != "") == table["ANOMALY"]).all()
    for name in ("summary.ecsv", "toplist.ecsv", "targets.txt"):
        assert (output / name).read_text() == (calm / name).read_text()


@pytest.mark.slow
def test_no_table_mixes_or_misnames_models_while_another_model_is_rolled_out(
    bundle: Path,
    other_bundle: Path,
    restartable: RestartableService,
    tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "other").mkdir()
    other = RestartableService(other_bundle, tmp_path / "other")
    other.start()
    monkeypatch.setattr("outcrop.night.run.ROLLOUT_PAUSE", 0.5)
    changes = itertools.count(1)
    begin_again = Night._score_due

    def rolled_out(night: Night, *arguments: Any) -> None:
        # The rollout ends while the night begins for the third time.
        if next(changes) == 3:
            balancer.retire(restartable.url)
        begin_again(night, *arguments)

    monkeypatch.setattr(Night, "_score_due", rolled_out)
    try:
        with Balancer(restartable.url, other.url) as balancer:
            status = night(tree, tmp_path / "out", balancer.url)
    finally:
        other.stop()

    _, err = capsys.readouterr()
    assert status == 0, err
    assert "the service changed its model" in err

    scorer = Scorer(Bundle.open(other_bundle), threads=1)
    petals = {petal.coadd.name[len("coadd") :]: petal for petal in find_petals(tree)}
    tables = sorted((tmp_path / "out").rglob("outliers-*.fits"))
    assert len(tables) == len(petals) == 10
    for path in tables:
        petal = petals[path.name[len("outliers") :]]
        scores = scorer.score(read_spectra(petal.coadd, petal.redrock))
        header: Any = fits.getheader(path, "OUTLIERS")
        assert header["MODELSHA"] == Bundle.open(other_bundle).sha256
        np.testing.assert_allclose(rows(path, "OUTLIERS")["WMSE"], scores.wmse, rtol=1e-4)
