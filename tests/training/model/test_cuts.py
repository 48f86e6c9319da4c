"""A petal keeps the spectra that pass all cuts, with what its header says of them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from model_store.population import BGS_ANY
from outcrop import Petal, PetalNoise, find_petals, read_spectra
from training.model.config import load_config
from training.model.cuts import PetalSample, read_corrected, read_petal, tile_of

OTHERS = 100
"""The first rows of the edited petal are no targets of the Bright Galaxy Survey."""


@pytest.fixture(scope="module")
def petal(sky: Path, tmp_path_factory: pytest.TempPathFactory) -> Petal:
    """A copy of a petal with other targets, and with the header of a DESI production."""
    first = find_petals(sky)[0]
    folder = tmp_path_factory.mktemp("petal")
    copy = Petal(*(Path(shutil.copy(path, folder)) for path in (first.coadd, first.redrock)))
    with fits.open(copy.coadd, mode="update") as hdus:
        table: Any = hdus["FIBERMAP"]
        table.data["DESI_TARGET"][:OTHERS] &= ~BGS_ANY
        primary: Any = hdus[0]
        primary.header["DEPNAM00"], primary.header["DEPVER00"] = "SPECPROD", "fuji"
    return copy


@pytest.fixture(scope="module")
def kept(petal: Petal, tiny: Path) -> PetalSample:
    return read_petal(petal, load_config(tiny))


def test_flux_ivar_and_rows_are_of_the_spectra_that_passed(kept: PetalSample) -> None:
    assert kept.flux.shape == kept.ivar.shape == (len(kept.rows), 250)
    assert len(kept.rows) == kept.counts["snr"] == list(kept.counts.values())[-1]
    assert kept.rows["snr"].min() >= 1
    good = (kept.ivar > 0).mean(axis=1)
    np.testing.assert_allclose(good, kept.rows["coverage"], atol=1e-6)


def test_only_targets_of_the_bright_galaxy_survey_pass(petal: Petal, kept: PetalSample) -> None:
    with fits.open(petal.coadd) as hdus:
        table: Any = hdus["FIBERMAP"]
        others = table.data["TARGETID"][:OTHERS].tolist()
    assert kept.counts["bgs_any"] <= kept.counts["good_fiber"] - OTHERS / 2
    assert not set(kept.rows["targetid"]) & set(others)


def test_the_cut_on_targets_can_be_switched_off(
    petal: Petal, kept: PetalSample, tiny: Path
) -> None:
    config = load_config(tiny)
    every = config.model_copy(
        update={"sample": config.sample.model_copy(update={"bgs_any": False})}
    )
    counts = read_petal(petal, every).counts
    assert "bgs_any" not in counts
    assert counts["snr"] > kept.counts["snr"]


def test_targets_of_a_file_that_does_not_tell_are_kept(
    petal: Petal, kept: PetalSample, tiny: Path, tmp_path: Path
) -> None:
    silent = Petal(*(Path(shutil.copy(path, tmp_path)) for path in (petal.coadd, petal.redrock)))
    with fits.open(silent.coadd, mode="update") as hdus:
        table: Any = hdus["FIBERMAP"]
        table.columns.del_col("DESI_TARGET")
    counts = read_petal(silent, load_config(tiny)).counts
    assert counts["bgs_any"] == counts["good_fiber"] == kept.counts["good_fiber"]


def test_the_noise_is_corrected_unless_that_is_switched_off(
    petal: Petal, kept: PetalSample, tiny: Path
) -> None:
    config = load_config(tiny)
    cuts = config.sample.model_copy(update={"noise_correction": False})
    reported = read_petal(petal, config.model_copy(update={"sample": cuts}))
    noise = PetalNoise.measure(read_spectra(petal.coadd, petal.redrock))
    assert noise.corrected

    # The reddest bins that a galaxy at z = 0.1 has are of camera z alone.
    _, one, other = np.intersect1d(
        kept.rows["targetid"], reported.rows["targetid"], return_indices=True
    )
    near = np.abs(kept.rows["z"][one] - 0.1) < 0.05
    before, after = reported.ivar[other][near, -5:], kept.ivar[one][near, -5:]
    good = before > 0
    # Flux is divided by the camera's offset, and so is its noise.
    expected = noise.variance["z"] / (1 + noise.offsets.offset["z"]) ** 2
    assert np.median(before[good] / after[good]) == pytest.approx(expected, rel=1e-3)


def test_a_model_too_old_to_tell_gets_corrected_petals(petal: Petal) -> None:
    found = [read_corrected(petal, known).inputs.noise for known in (True, None, False)]
    assert [noise.get("SKYCORR") for noise in found] == [True, True, None]


def test_header_names_release_and_simulation(kept: PetalSample) -> None:
    assert kept.release == "edr"
    assert kept.simulated


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coadd-4-80613-thru20210324.fits", "tile 80613"),
        ("coadd-0-169-20210419.fits.gz", "tile 169"),
        ("coadd-sv3-dark-26065.fits", "healpixel sv3-dark-26065"),
        ("coadd-mine.fits", "coadd-mine.fits"),
    ],
)
def test_tiles_and_healpixels_are_read_from_file_names(name: str, expected: str) -> None:
    assert tile_of(Path(name)) == expected
