"""The report shows losses, scores and typical spectra of a fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from explanation.reference import Reference
from model_store.bundle import Bundle, Manifest
from outcrop import Petal, find_petals
from scoring.calibration import Calibration
from training.model.cuts import ROW
from training.model.dataset import RestSample
from training.model.fit import Epoch
from training.model.report import to_draw, typical, write_report
from training.model.scored import Scored
from training.model.sources import PetalSource

HISTORY = [
    Epoch(1e-3, -10.0, 2.0, -9.0, 2.1),
    Epoch(1e-4, -12.0, 1.5, -11.5, 1.6),
]


def scored(spectype: list[str], wmse: list[float], snr: list[float]) -> Scored:
    """Return scores of spectra that differ in class, wmse and S/N only."""
    count = len(spectype)
    rows = np.zeros(count, ROW)
    rows["targetid"], rows["coverage"] = np.arange(count), 1
    rows["spectype"], rows["snr"] = spectype, snr
    return Scored(
        index=np.arange(count),
        rows=rows,
        latent=np.zeros((count, 4), np.float32),
        nof=np.full(count, -1, np.float32),
        wmse=np.array(wmse, np.float32),
        boxcar_significance=np.zeros((count, 3), np.float32),
        boxcar_power=np.ones((count, 3), np.float32),
        camera_offset=np.zeros(count, np.float32),
        second_galaxy=np.full(count, 9, np.float32),
        galaxy_distance=np.ones(count, np.float32),
    )


def stored(
    flux: np.ndarray, ivar: np.ndarray, rows: np.ndarray, petal: Petal, folder: Path
) -> RestSample:
    """Return the sample of one petal whose spectra are stored in a folder."""
    np.save(folder / "flux.npy", flux)
    np.save(folder / "ivar.npy", ivar)
    return RestSample(
        rows=rows,
        index=np.arange(len(rows)),
        petals=(PetalSource(str(petal.coadd), str(petal.redrock)),),
        folders=(folder,),
        tiles=("tile 1",),
        counts={},
        simulated=True,
        release=None,
        key="",
        damaged=(),
    )


@pytest.fixture
def petal(sky: Path) -> Petal:
    return find_petals(sky)[0]


@pytest.fixture
def manifest(bundle: Path) -> Manifest:
    return Bundle.open(bundle).manifest


@pytest.fixture
def calibration(bundle: Path) -> Calibration:
    return Calibration.from_arrays(Bundle.open(bundle).arrays("calibration.npz"))


def test_typical_spectra_are_bright_with_a_wmse_close_to_the_median() -> None:
    some = scored(
        ["GALAXY"] * 5 + ["STAR"] * 2,
        [1.0, 1.1, 1.2, 9.0, 1.1, 3.0, 4.0],
        [20.0, 20.0, 20.0, 20.0, 6.0, 8.0, 7.0],
    )
    # The last galaxy and the last star are faint, the fourth galaxy is badly reconstructed, and
    # there is no quasar. The median wmse of the bright galaxies is 1.15.
    assert typical(some).tolist() == [1, 2, 5]


def test_spectra_to_draw_are_in_physical_units(
    petal: Petal, calibration: Calibration, tmp_path: Path
) -> None:
    # Two spectra of norm 10 and 20 whose last bin is bad and was infilled.
    prepared = np.full((2, 4), 0.5, np.float32)
    flux = np.array([[5, 5, 5, 0], [10, 10, 10, 0]], np.float32)
    ivar = np.array([[1, 1, 1, 0]] * 2, np.float32)
    chosen = scored(["GALAXY", "STAR"], [1.0, 2.0], [10.0, 20.0])
    sample = stored(flux, ivar, chosen.rows, petal, tmp_path)

    drawn = to_draw(chosen, sample, 0.9 * prepared, prepared, calibration)
    np.testing.assert_allclose(drawn.norm, [10, 20], rtol=1e-6)
    np.testing.assert_array_equal(drawn.spectra.flux, flux)
    np.testing.assert_allclose(drawn.spectra.model, [[4.5] * 4, [9] * 4], rtol=1e-6)
    np.testing.assert_array_equal(drawn.p_value, chosen.p_value(calibration))


def test_a_report_replaces_an_earlier_one(
    petal: Petal, manifest: Manifest, calibration: Calibration, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    flux = (1 + 0.1 * rng.normal(size=(2, manifest.grid.bins))).astype(np.float32)
    prepared = flux / np.linalg.norm(flux, axis=1, keepdims=True)
    chosen = scored(["GALAXY", "STAR"], [1.0, 3.0], [10.0, 20.0])
    sample = stored(flux, np.full_like(flux, 100), chosen.rows, petal, tmp_path)
    examples = to_draw(chosen, sample, prepared, prepared, calibration)
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.md").write_text("earlier")

    reference = Reference(
        chosen.rows["targetid"],
        chosen.rows["z"],
        chosen.rows["spectype"],
        np.array([[0, 1], [2, 3]], np.float32),
        np.linspace(0, 1, 101),
    )
    write_report(
        folder, manifest, HISTORY, chosen, chosen, examples, reference, ["a.fits: cut off"]
    )
    text = (folder / "report.md").read_text()
    assert text.startswith(
        f"# Model outcrop {manifest.version}\n\nSample: {manifest.sample.label}."
    )
    assert "2 epochs, last validation\nloss -11.5 nats." in text
    assert "**Trained on a simulated sky: these numbers are not DESI performance.**" in text
    assert f"Population: {manifest.population.name}. Of the sample, " in text
    assert f"that is a rank among them is {manifest.finest_p:.2g}; smaller ones" in text
    assert "| STAR | 1 | 3.000 | 3.000 | 1.87 |" in text
    assert "| in the paper | 2.55 | -1.44 |" in text
    assert "Damaged petals that were left out: 1.\n\n- a.fits: cut off\n" in text
    assert "![Losses](losses.png)\n\nLosses per spectrum after each epoch." in text
    assert "\n\n\n" not in text

    content = json.loads((folder / "report.json").read_text())
    assert content["history"][1]["validation_loss"] == -11.5
    assert content["damaged_petals"] == ["a.fits: cut off"]
    assert content["wmse"]["all"] == {"n": 2, "mean": 2.0, "median": 2.0}
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"losses.png", "map.png", "nof.png", "reconstructions.png", "wmse.png"}
