"""Noise has the shape of DESI's, and the reported variance is the true one."""

import numpy as np
import pytest

from outcrop import Spectra
from outcrop.spectra import WAVE, Band
from scoring.preprocess import to_rest_frame
from scoring.resample import RestGrid
from training.sky.files import SimulatedPetal
from training.sky.frame import OBSERVED
from training.sky.noise import CAMERAS, SKY, curves, observe, variance
from training.sky.targets import Targets


def test_the_reported_variance_is_the_scatter() -> None:
    rng = np.random.default_rng(0)
    flux = np.full((400, len(OBSERVED)), 8.0)
    frames = observe(rng, flux, np.ones(400))
    for camera, frame in frames.items():
        good = (frame.ivar > 0) & (frame.mask == 0)
        pull = np.where(good, (frame.flux - 8.0) * np.sqrt(frame.ivar), np.nan)
        scatter = np.nanmedian(np.nanstd(pull, axis=0))
        assert scatter == pytest.approx(1, abs=0.02), camera
        assert abs(np.nanmean(pull)) < 0.05
        assert 0.001 < np.mean(frame.ivar == 0) < 0.02
        assert 0.0005 < np.mean((frame.ivar > 0) & (frame.mask != 0)) < 0.02


def test_noise_has_desis_shape_and_the_objects_own_photons() -> None:
    dark = np.zeros((1, len(OBSERVED)))
    for camera, span in CAMERAS.items():
        faint = variance(dark[:, span], camera, np.ones(1))[0]
        curve = curves()[camera]
        np.testing.assert_allclose(np.sqrt(faint / np.median(faint)), curve.total, rtol=0.01)
        # At ten times the sky's flux the object's photons make ten times the sky's variance
        bright = variance(dark[:, span] + 10 * SKY, camera, np.ones(1))[0]
        np.testing.assert_allclose((bright - faint) / faint, 10 * (curve.floor / curve.total) ** 2)
    line = np.argmin(np.abs(WAVE["b"] - 5578.9))  # the sky's [O I]
    assert curves()["b"].total[line] > 2 * np.median(curves()["b"].total)


def test_the_preprocessor_measures_the_wanted_snr(made: tuple[SimulatedPetal, Targets]) -> None:
    petal, targets = made
    rows = np.flatnonzero(petal.fibermap["OBJTYPE"] == "TGT")
    near = np.abs(targets.z) < 0.3
    bands = {
        camera: Band(frame.flux[rows], frame.ivar[rows], frame.mask[rows])
        for camera, frame in petal.frames.items()
    }
    spectra = Spectra(bands, targets.z, petal.fibermap["TARGETID"][rows])
    rest = to_rest_frame(spectra, RestGrid(3600.0, 7556.0, 1000), (-0.002, 0.3))
    measured = (rest.snr / targets.snr)[near & (rest.coverage > 0.5)]
    assert np.median(measured) == pytest.approx(1, abs=0.05)
    assert np.percentile(np.abs(measured - 1), 90) < 0.1
