"""The sample is cut, cached and split so that no target is in two parts."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from model_store.population import BGS_ANY
from outcrop import find_petals
from scoring.infill import Eigenspectra
from training import TrainingError
from training.model.cache import cache_root
from training.model.config import Config, Cuts, load_config
from training.model.dataset import RestSample, Split, prepare, read_sample, split

PER_PETAL = 1000
"""Spectra of a petal that exists in name only."""


def column(sky: Path, kind: str, hdu: str, name: str) -> NDArray[Any]:
    """Read a column of all petals with astropy alone."""
    files = [getattr(petal, kind) for petal in find_petals(sky)]
    values = np.concatenate([np.asarray(Table.read(file, hdu=hdu)[name]) for file in files])
    return values.astype(np.str_) if values.dtype.kind == "S" else values


@pytest.fixture(scope="module")
def sample(sky: Path, tiny: Path) -> RestSample:
    return read_sample([sky], load_config(tiny), cache_root())


def test_counts_follow_the_cuts(sky: Path, sample: RestSample) -> None:
    targets = column(sky, "coadd", "FIBERMAP", "OBJTYPE") == "TGT"
    known = (column(sky, "redrock", "REDSHIFTS", "ZWARN") & (1 << 9)) == 0
    harmless = (column(sky, "coadd", "FIBERMAP", "COADD_FIBERSTATUS") & ~(1 << 3 | 1 << 20)) == 0
    bgs = (column(sky, "coadd", "FIBERMAP", "DESI_TARGET") & BGS_ANY) != 0
    z = column(sky, "redrock", "REDSHIFTS", "Z")
    counts = sample.counts

    assert list(counts) == [
        "rows",
        "targets",
        "with_data",
        "good_fiber",
        "bgs_any",
        "in_redshift_range",
        "covered",
        "snr",
        "unique",
    ]

    assert counts["rows"] == 2000
    assert counts["targets"] == targets.sum() < 2000
    kept = targets & known & harmless & bgs
    assert counts["bgs_any"] == kept.sum()
    assert counts["in_redshift_range"] == (kept & (z >= -0.002) & (z <= 0.3)).sum()
    assert counts["unique"] == len(sample.index) > 1200
    values = list(counts.values())
    assert values == sorted(values, reverse=True)


def test_the_sample_holds_what_the_files_say(sky: Path, sample: RestSample) -> None:
    rows = sample.rows[sample.index]
    order = np.argsort(column(sky, "redrock", "REDSHIFTS", "TARGETID"))
    found = np.searchsorted(
        column(sky, "redrock", "REDSHIFTS", "TARGETID")[order], rows["targetid"]
    )
    z = column(sky, "redrock", "REDSHIFTS", "Z")[order][found]
    np.testing.assert_array_equal(rows["z"], z)
    assert set(rows["spectype"]) <= {"GALAXY", "QSO", "STAR"}
    assert rows["snr"].min() >= 1
    assert rows["coverage"].min() >= 0.9
    assert sample.simulated
    assert len(sample.tiles) == 4


def test_a_second_reading_comes_from_the_cache(sky: Path, sample: RestSample, tiny: Path) -> None:
    files = [folder / "flux.npy" for folder in sample.folders]
    before = [file.stat().st_mtime_ns for file in files]
    again = read_sample([sky], load_config(tiny), cache_root())
    assert (again.key, again.folders) == (sample.key, sample.folders)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_other_cuts_make_another_sample(sky: Path, sample: RestSample, tiny: Path) -> None:
    config = load_config(tiny)
    narrow = config.model_copy(update={"sample": Cuts(redshift_range=(0.1, 0.2))})
    other = read_sample([sky], narrow, cache_root())
    assert other.key != sample.key
    assert len(other.index) < len(sample.index)


def test_of_a_target_observed_twice_the_better_spectrum_counts(
    sky: Path, sample: RestSample, tiny: Path, tmp_path: Path
) -> None:
    first = find_petals(sky)[0]
    for petal in (first.coadd, first.redrock):
        shutil.copy(petal, tmp_path)
    # Observed again through a cloud; the sky fibers still tell the same noise.
    targets = Table.read(first.coadd, hdu="FIBERMAP")["OBJTYPE"] == "TGT"
    with fits.open(tmp_path / first.coadd.name) as hdus:
        for camera in "BRZ":
            image: Any = hdus[f"{camera}_FLUX"]
            image.data[targets] /= 4
        hdus.writeto(tmp_path / first.coadd.name, overwrite=True)
    both = read_sample([sky, tmp_path], load_config(tiny), cache_root())
    assert both.counts["rows"] == 2500
    assert len(both.index) == len(sample.index)
    np.testing.assert_array_equal(
        np.sort(both.rows["snr"][both.index]), np.sort(sample.rows["snr"][sample.index])
    )


def test_prepared_spectra_have_unit_norm_and_their_noise(tiny: Path, sample: RestSample) -> None:
    before, weight = sample.take(np.arange(len(sample.rows)))
    mean = before[:50].mean(axis=0)
    mean /= np.linalg.norm(mean)
    eigenspectra = Eigenspectra(mean, np.zeros((0, len(mean)), np.float32))
    flux, ivar = prepare(sample, load_config(tiny), eigenspectra, cache_root())
    assert flux.shape == ivar.shape == before.shape
    np.testing.assert_allclose(np.linalg.norm(flux, axis=1), 1, atol=1e-5)
    good = weight > 0
    np.testing.assert_array_equal(ivar > 0, good)
    ratio = (before * np.sqrt(weight))[good]
    np.testing.assert_allclose((flux * np.sqrt(ivar))[good], ratio, rtol=1e-3, atol=1e-3)


def test_rows_are_taken_from_their_petals(sample: RestSample) -> None:
    rows = np.array([0, 3, len(sample.rows) - 1])
    flux, ivar = sample.take(rows)
    for array, name in ((flux, "flux.npy"), (ivar, "ivar.npy")):
        first, *_, last = (np.load(folder / name) for folder in sample.folders)
        np.testing.assert_array_equal(array, [first[0], first[3], last[-1]])


def parts_of(sample: RestSample, tiles: list[str], petals: int, **shares: float) -> Split:
    """Split a sample of spectra that exist in name only."""
    rows = np.zeros(PER_PETAL * petals, sample.rows.dtype)
    rows["targetid"] = np.arange(len(rows))
    rows["petal"] = np.repeat(np.arange(petals), PER_PETAL)
    rows["snr"] = np.tile(np.linspace(1, 20, PER_PETAL), petals)
    imagined = replace(sample, rows=rows, index=np.arange(len(rows)), tiles=tuple(tiles))
    config = Config()
    return split(
        imagined, config.model_copy(update={"split": config.split.model_copy(update=shares)})
    )


def test_without_a_calibration_part_the_validation_part_calibrates(sample: RestSample) -> None:
    parts = parts_of(sample, ["one"] * 4, 4, validation=0.25)
    assert set(parts.validation) < set(parts.calibration)
    assert not set(parts.training) & set(parts.calibration)
    snr = np.tile(np.linspace(1, 20, PER_PETAL), 4)
    assert (snr[parts.training] > 5).all()
    assert (snr[parts.validation] > 5).all()
    assert (snr[parts.calibration] < 5).any()
    assert len(parts.calibration) == pytest.approx(PER_PETAL, abs=100)


@pytest.mark.parametrize(
    ("petals", "tiles", "whole"),
    [(40, 20, "tile"), (10, 1, "petal"), (4, 1, "spectrum")],
)
def test_calibration_is_held_out_in_the_largest_units_there_are_enough_of(
    sample: RestSample, petals: int, tiles: int, whole: str
) -> None:
    names = [f"tile {i * tiles // petals}" for i in range(petals)]
    parts = parts_of(sample, names, petals, validation=0.1, calibration=0.2)
    assert len(parts.calibration) == pytest.approx(0.2 * PER_PETAL * petals, rel=0.01)
    held_out = np.unique(parts.calibration // PER_PETAL)
    fitted = np.unique(np.concatenate([parts.training, parts.validation]) // PER_PETAL)
    if whole == "spectrum":
        assert set(held_out) == set(fitted)
    else:
        assert not set(held_out) & set(fitted)
    if whole == "tile":
        assert not {names[i] for i in held_out} & {names[i] for i in fitted}


@pytest.mark.parametrize("shares", [{"calibration": 0.2}, {}])
def test_faint_spectra_that_are_not_held_out_calibrate_too(
    sample: RestSample, shares: dict[str, float]
) -> None:
    parts = parts_of(sample, ["one"] * 10, 10, validation=0.1, **shares)
    snr = np.tile(np.linspace(1, 20, PER_PETAL), 10)
    assert (snr[parts.faint] <= 5).all()
    used = np.concatenate([parts.training, parts.validation, parts.calibration])
    assert not set(parts.faint) & set(used)
    np.testing.assert_array_equal(np.union1d(used, parts.faint), np.arange(10 * PER_PETAL))


def test_the_split_follows_from_the_seed(sample: RestSample) -> None:
    first, same, other = (
        parts_of(sample, ["one"] * 4, 4, validation=0.25, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.training, same.training)
    assert not np.array_equal(first.training, other.training)


def test_an_empty_validation_part_is_named(sample: RestSample) -> None:
    with pytest.raises(TrainingError, match=r"0 of the 2000 spectra .* are left for validation"):
        parts_of(sample, ["one"] * 2, 2, validation=1e-6, calibration=0.5)


def test_too_small_a_calibration_part_is_named_before_anything_is_fitted(
    sample: RestSample,
) -> None:
    with pytest.raises(TrainingError, match="left for calibration, at least 500 needed"):
        parts_of(sample, ["one"] * 2, 2, validation=0.1)


def test_a_folder_without_petals_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=f"no pair of coadd.* below {tmp_path}"):
        read_sample([tmp_path], Config(), cache_root())


def test_a_sample_that_cuts_leave_empty_says_where_the_rows_went(sky: Path, tiny: Path) -> None:
    config = load_config(tiny)
    far = config.model_copy(update={"sample": Cuts(redshift_range=(4, 5))})
    with pytest.raises(TrainingError, match=r"rows 2000, .*in_redshift_range 0"):
        read_sample([sky], far, cache_root())


def test_a_reading_that_failed_leaves_no_cache(sky: Path, tiny: Path, tmp_path: Path) -> None:
    petal = find_petals(sky)[0]
    shutil.copy(petal.redrock, tmp_path)
    (tmp_path / petal.coadd.name).write_bytes(petal.coadd.read_bytes()[:200_000])
    root = tmp_path / "cache"
    with pytest.raises(TrainingError, match=f"1 of 1 petals .* {tmp_path / petal.coadd.name}"):
        read_sample([tmp_path], load_config(tiny), root)
    assert not list(root.iterdir())
