"""Nuisances: a petal has those of a real night, at strength 0 none of them."""

import numpy as np
import pytest

from tests.training.sky.helpers import SEED
from training.sky.files import SimulatedPetal
from training.sky.noise import CAMERAS, curves, observe
from training.sky.nuisances import OFFSET, RESIDUAL, VARIANCE, draw_systematics
from training.sky.petals import PETALS_PER_TILE, make_petal
from training.sky.targets import Targets


@pytest.fixture(scope="module")
def night() -> tuple[SimulatedPetal, Targets]:
    """One petal with stars of the Milky Way Survey, and the truth about its targets."""
    return make_petal(SEED, 1)


def test_systematics_are_in_their_ranges() -> None:
    drawn = [draw_systematics(np.random.default_rng(seed), 1.0) for seed in range(100)]
    for camera in CAMERAS:
        variance = np.array([one[camera].variance for one in drawn])
        assert (variance >= VARIANCE[0]).all()
        assert (variance <= VARIANCE[1]).all()
        assert variance.std() > 0.05

        offset = np.array([one[camera].offset for one in drawn])
        assert OFFSET[0] < offset.std() < OFFSET[1]

        # Largest residuals of the lines, which are random numbers times the drawn rms
        residual = np.array([np.abs(one[camera].residual).max() for one in drawn])
        assert RESIDUAL[0] < np.median(residual) < 4 * RESIDUAL[1]


def test_no_strength_is_no_systematic() -> None:
    for one in draw_systematics(np.random.default_rng(0), 0.0).values():
        assert (one.variance, one.offset, one.fiber) == (1.0, 0.0, 0.0)
        assert not one.residual.any()


def test_sky_fibers_show_the_variance_and_the_residuals() -> None:
    rng = np.random.default_rng(4)
    systematics = draw_systematics(rng, 1.0)
    frames = observe(rng, np.zeros((60, 7781)), np.ones(60), systematics)
    for camera, frame in frames.items():
        good = (frame.ivar > 0) & (frame.mask == 0)
        ratio = np.where(good, frame.flux * np.sqrt(frame.ivar), np.nan)
        line = systematics[camera].residual
        strong = np.abs(line) > 0.3
        mean = np.nanmedian(ratio[:, strong], axis=0)
        assert np.corrcoef(mean, line[strong])[0, 1] > 0.7

        between = curves()[camera].total < 1.05 * curves()[camera].floor
        low, high = np.nanpercentile(ratio[:, between], [15.87, 84.13])
        assert ((high - low) / 2) ** 2 == pytest.approx(systematics[camera].variance, rel=0.05)


def test_a_camera_has_the_offset_of_its_petal_and_each_fiber_its_own() -> None:
    rng = np.random.default_rng(5)
    systematics = draw_systematics(rng, 1.0)
    # So bright that neither the noise nor the sky matter.
    frames = observe(rng, np.full((400, 7781), 1e4), np.ones(400), systematics)
    for camera, frame in frames.items():
        good = (frame.ivar > 0) & (frame.mask == 0)
        ratio = np.nanmedian(np.where(good, frame.flux / 1e4, np.nan), axis=1)
        shared = systematics[camera]
        assert np.median(ratio) == pytest.approx(1 + shared.offset, abs=0.005)
        assert ratio.std() > 0.5 * shared.fiber > 0


def test_a_petal_has_the_targets_of_a_night(night: tuple[SimulatedPetal, Targets]) -> None:
    petal, targets = night
    assert 0.25 < np.mean(targets.survey == "MWS") < 0.42
    assert (targets.spectype[targets.survey == "MWS"] == "STAR").all()

    dark = targets.survey == "DARK"
    assert 0.01 < np.mean(dark) < 0.08
    assert (targets.z[dark] > 0.3).all()

    assert 0.14 < np.mean(targets.snr < 5) < 0.27
    assert targets.snr.min() >= 1
    assert 0.05 < np.mean(petal.fibermap["OBJTYPE"] == "SKY") < 0.12


def test_targets_are_repeated_on_other_tiles(night: tuple[SimulatedPetal, Targets]) -> None:
    petal, targets = night
    other, others = make_petal(SEED, 1 + PETALS_PER_TILE)
    ids = [one.fibermap["TARGETID"][one.fibermap["OBJTYPE"] == "TGT"] for one in (petal, other)]
    assert all(len(np.unique(one)) == len(one) for one in ids)

    _, here, there = np.intersect1d(ids[0], ids[1], return_indices=True)
    assert len(here)
    np.testing.assert_array_equal(targets.true_z[here], others.true_z[there])
