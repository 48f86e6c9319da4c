"""Redshifts beyond the model's are found by emission lines; where there are none, none is said."""

import numpy as np
import pytest

from explanation.line_matching import match_lines
from outcrop.spectra import WAVE
from training.sky.galaxies import galaxies
from training.sky.quasars import distant_quasars
from training.sky.stars import stars

OBSERVED = WAVE["brz"]
LEAST = 0.3


def observed(
    rng: np.random.Generator, flux: np.ndarray, snr: float
) -> tuple[np.ndarray, np.ndarray]:
    """Add noise of a constant S/N per pixel, relative to the mean flux."""
    sigma = flux.mean() / snr
    noisy = flux + sigma * rng.standard_normal(flux.shape)
    return noisy.astype(np.float32), np.full(flux.shape, sigma**-2, np.float32)


def test_distant_quasars_are_found_at_their_redshifts() -> None:
    rng = np.random.default_rng(1)
    z = rng.uniform(1.6, 2.6, 60)
    flux, ivar = observed(rng, distant_quasars(rng, z), 5.0)
    matches = [match_lines(one, weight, LEAST) for one, weight in zip(flux, ivar, strict=True)]
    right = [m is not None and abs(m.z - true) < 0.03 for m, true in zip(matches, z, strict=True)]
    wrong = [m is not None and abs(m.z - true) > 0.03 for m, true in zip(matches, z, strict=True)]
    assert np.mean(right) > 0.85
    assert np.mean(wrong) < 0.05
    for match in matches:
        if match is not None:
            assert match.delta_chi2 > match.other_delta_chi2 >= 0
            assert abs(match.z - match.other_z) > 0.02
            assert len(match.lines) > 1
            assert set(match.lines) <= {"Lyα", "C IV", "C III]", "Mg II"}


def test_galaxies_and_stars_of_the_model_propose_nothing() -> None:
    rng = np.random.default_rng(2)
    near = rng.uniform(0.01, 0.29, 60)
    drawn = np.concatenate([galaxies(rng, near), stars(rng, np.zeros(40))])
    flux, ivar = observed(rng, drawn, 8.0)
    matches = [match_lines(one, weight, LEAST) for one, weight in zip(flux, ivar, strict=True)]
    assert sum(match is not None for match in matches) <= 1


@pytest.mark.parametrize("z", [0.35, 0.48, 0.7])
def test_narrow_lines_of_a_distant_galaxy_are_found(z: float) -> None:
    flux = np.ones(len(OBSERVED))
    for wave, height in ((3728.5, 4.0), (4862.7, 2.0), (4960.3, 1.4), (5008.24, 4.0)):
        sigma = wave * (1 + z) * 150 / 299792
        flux += height * np.exp(-0.5 * ((OBSERVED - wave * (1 + z)) / sigma) ** 2)
    match = match_lines(*observed(np.random.default_rng(3), flux, 5.0), LEAST)
    assert match is not None
    assert match.z == pytest.approx(z, abs=0.002)
    assert set(match.lines) == {"[O II]", "Hβ", "[O III]"}


def test_one_line_alone_proposes_nothing() -> None:
    for wave in (4500.0, 6800.0, 8200.0):
        for sigma in (1.5, 40.0):
            flux = 1 + 20 * np.exp(-0.5 * ((OBSERVED - wave) / sigma) ** 2)
            assert match_lines(*observed(np.random.default_rng(4), flux, 5.0), LEAST) is None


def test_redshifts_of_the_model_are_never_proposed() -> None:
    rng = np.random.default_rng(5)
    z = np.array([1.8, 2.0])
    for flux, ivar in zip(*observed(rng, distant_quasars(rng, z), 10.0), strict=True):
        assert match_lines(flux, ivar, LEAST) is not None
        assert match_lines(flux, ivar, 2.5) is None


def test_missing_data_are_no_lines() -> None:
    rng = np.random.default_rng(6)
    z = np.full(1, 2.0)
    flux, ivar = (one[0] for one in observed(rng, distant_quasars(rng, z), 10.0))
    flux[3000:3200], ivar[3000:3200] = 1e9, 0
    match = match_lines(flux, ivar, LEAST)
    assert match is not None
    assert match.z == pytest.approx(2.0, abs=0.03)

    assert match_lines(flux, np.zeros_like(ivar), LEAST) is None
    assert match_lines(np.zeros_like(flux), ivar, LEAST) is None
    flux, ivar = observed(rng, np.ones((1, len(OBSERVED))), 10.0)
    assert match_lines(flux[0], ivar[0], LEAST) is None
