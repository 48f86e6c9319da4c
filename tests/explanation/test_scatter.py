"""The scatter of inliers is found where it is: at sky lines, and where the model errs."""

import numpy as np
import pytest

from explanation.scatter import InlierScatter
from model_store.grid import RestGrid

GRID = RestGrid()


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    """Spectra with three times the noise at 6302 Å observed, and model errors of 5 % at Hα."""
    rng = np.random.default_rng(1)
    rows = 1500
    z = rng.uniform(0, 0.14, rows)
    model = np.full((rows, GRID.bins), 1 / np.sqrt(GRID.bins), np.float32)
    snr = np.exp(rng.uniform(1, 4, (rows, 1)))
    ivar = ((snr / model) ** 2).astype(np.float32)

    observed = GRID.wave * (1 + z[:, None])
    scale = np.where(np.abs(observed - 6302) < 6, 3.0, 1.0)
    flux = model + scale * rng.standard_normal(model.shape) / np.sqrt(ivar)
    flux += model * 0.05 * rng.standard_normal(model.shape) * (np.abs(GRID.wave - 6564.6) < 8)
    return {"flux": flux.astype(np.float32), "ivar": ivar, "model": model, "z": z}


def test_each_kind_of_scatter_is_found_in_its_frame(sample: dict[str, np.ndarray]) -> None:
    scatter = InlierScatter.fit(**sample, grid=GRID)
    observed = 3600 + 4 * (np.arange(len(scatter.sky)) + 0.5)
    at_line = np.abs(observed - 6302) < 3
    assert scatter.sky[at_line] == pytest.approx(8, rel=0.2)
    elsewhere = (np.abs(observed - 6302) > 12) & (observed < 7556)
    assert scatter.sky[elsewhere].max() < 0.6

    at_halpha = np.abs(GRID.wave - 6564.6) < 8
    assert np.sqrt(scatter.model[at_halpha]) == pytest.approx(0.05, rel=0.15)
    assert np.sqrt(np.median(scatter.model[~at_halpha])) < 0.005


def test_residuals_have_unit_variance_with_the_scatter(sample: dict[str, np.ndarray]) -> None:
    scatter = InlierScatter.fit(**sample, grid=GRID)
    ivar = scatter.reduced(sample["ivar"], sample["model"], sample["z"])
    square = (sample["flux"] - sample["model"]) ** 2 * ivar
    assert square.mean(axis=0) == pytest.approx(1, abs=0.25)
    assert square.mean() == pytest.approx(1, abs=0.02)


def test_a_few_anomalies_hardly_change_it(sample: dict[str, np.ndarray]) -> None:
    plain = InlierScatter.fit(**sample, grid=GRID)
    flux = sample["flux"].copy()
    flux[::100, 200:400] *= 4
    other = InlierScatter.fit(**(sample | {"flux": flux}), grid=GRID)
    assert np.sqrt(other.model[200:400]).max() < 0.02
    assert other.sky.max() == pytest.approx(plain.sky.max(), rel=0.1)


def test_bad_bins_have_no_weight_and_count_for_nothing(sample: dict[str, np.ndarray]) -> None:
    ivar, flux = sample["ivar"].copy(), sample["flux"].copy()
    ivar[:, 500:510], flux[:, 500:510] = 0, 1e9
    scatter = InlierScatter.fit(flux, ivar, sample["model"], sample["z"], GRID)
    assert not scatter.model[500:510].any()
    assert not scatter.reduced(ivar, sample["model"], sample["z"])[:, 500:510].any()
