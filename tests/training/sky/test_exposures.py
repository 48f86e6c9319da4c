"""Exposures of a simulated petal add up to its coadd, and only cosmic rays are in one alone."""

import numpy as np
import pytest

from tests.training.sky.helpers import SEED
from training.sky.exposures import Exposure
from training.sky.files import SimulatedPetal
from training.sky.petals import make_petal
from training.sky.targets import Targets

CAMERAS = ("b", "r", "z")


@pytest.fixture(scope="module")
def repeated() -> tuple[SimulatedPetal, Targets]:
    return make_petal(SEED, 0, anomalies=0.4, exposures=3)


def _pulls(exposure: Exposure, petal: SimulatedPetal, camera: str) -> np.ndarray:
    """Return (flux − the coadd's) / its expected error, of the good pixels."""
    frame, coadd = exposure.frames[camera], petal.frames[camera]
    good = (coadd.ivar > 0) & (coadd.mask == 0)
    error = np.sqrt(1 / frame.ivar[good].astype(np.float64) - 1 / coadd.ivar[good])
    return (frame.flux[good] - coadd.flux[good]) / error


def test_the_coadd_is_what_it_is_without_exposures(
    repeated: tuple[SimulatedPetal, Targets],
) -> None:
    single, _ = make_petal(SEED, 0, anomalies=0.4)
    for camera in CAMERAS:
        for part in ("flux", "ivar", "mask"):
            np.testing.assert_array_equal(
                getattr(repeated[0].frames[camera], part), getattr(single.frames[camera], part)
            )
    assert not single.exposures


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_weighted_mean_is_the_coadd(
    repeated: tuple[SimulatedPetal, Targets], camera: str
) -> None:
    petal, _ = repeated
    coadd, frames = petal.frames[camera], [one.frames[camera] for one in petal.exposures]
    ivar = np.sum([one.ivar.astype(np.float64) for one in frames], axis=0)
    np.testing.assert_allclose(ivar, coadd.ivar, rtol=1e-6)

    good = coadd.ivar > 0
    total = np.sum([one.ivar.astype(np.float64) * one.flux for one in frames], axis=0)
    largest = np.max([np.abs(one.flux[good]) for one in frames], axis=0)
    off = np.abs(total[good] / ivar[good] - coadd.flux[good])
    assert (off <= 1e-6 * np.maximum(largest, 1)).all()
    for one in frames:
        np.testing.assert_array_equal(one.mask, coadd.mask)


def test_exposures_differ_by_their_noise_and_by_cosmic_rays(
    repeated: tuple[SimulatedPetal, Targets],
) -> None:
    petal, targets = repeated
    for exposure in petal.exposures:
        pulls = np.concatenate([_pulls(exposure, petal, camera) for camera in CAMERAS])
        assert abs(np.percentile(np.abs(pulls), 68.3) - 1) < 0.01

    cosmics = int(np.count_nonzero(targets.kind == "cosmic"))
    assert cosmics > 5
    spikes = [
        sum(int(np.count_nonzero(_pulls(one, petal, camera) > 20)) for camera in CAMERAS)
        for one in petal.exposures
    ]
    assert cosmics <= sum(spikes) <= 3 * cosmics
    assert np.count_nonzero(spikes) > 1


def test_exposures_have_numbers_and_nights(repeated: tuple[SimulatedPetal, Targets]) -> None:
    petal, _ = repeated
    assert len({one.expid for one in petal.exposures}) == 3
    nights = [one.night for one in petal.exposures]
    assert nights == sorted(nights)
    assert nights[-1] == petal.night != nights[0]
    assert set(petal.fibermap["COADD_NUMEXP"]) == {3}
