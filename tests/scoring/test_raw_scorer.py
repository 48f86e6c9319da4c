"""Raw scores are those of the networks, the residual and the density, row by row."""

import numpy as np
import pytest

from outcrop import Spectra
from scoring.preprocess import Prepared
from scoring.raw_scorer import RawScorer
from scoring.residual import boxcar_scores, camera_offset, weighted_mse
from scoring.scorer import MIN_COVERAGE, Scorer
from scoring.second_galaxy import second_galaxy


@pytest.fixture(scope="module")
def prepared(scorer: Scorer, spectra: Spectra) -> Prepared:
    rest = scorer.preprocessor.to_rest_frame(spectra)
    return scorer.preprocessor.prepare(rest.rows(rest.coverage >= MIN_COVERAGE))


def test_each_score_is_that_of_its_part(scorer: Scorer, prepared: Prepared) -> None:
    z = np.linspace(0, 0.3, len(prepared.flux))
    raw = scorer.raw_scorer.score(prepared.flux, prepared.ivar, z)
    latent = scorer.vae.encode(prepared.flux)
    decoded = scorer.vae.decode(latent)
    np.testing.assert_array_equal(raw.latent, latent)
    np.testing.assert_array_equal(raw.reconstruction, decoded)
    np.testing.assert_array_equal(raw.wmse, weighted_mse(prepared.flux, prepared.ivar, decoded))
    np.testing.assert_array_equal(raw.nof, scorer.density.nof(latent))
    np.testing.assert_array_equal(raw.galaxy_distance, scorer.galaxies.distance(decoded))
    significance, power = boxcar_scores(prepared.flux, prepared.ivar, decoded)
    np.testing.assert_array_equal(raw.boxcar_significance, significance)
    np.testing.assert_array_equal(raw.boxcar_power, power)
    residual = (prepared.flux, prepared.ivar, decoded, z, scorer.model.wave)
    offset = camera_offset(*residual, scorer.galaxies.axes)
    np.testing.assert_array_equal(raw.camera_offset, offset)
    second = second_galaxy(*residual, scorer.galaxies.features)
    np.testing.assert_array_equal(raw.second_galaxy, second)


def test_what_is_not_known_yet_gives_nan_and_nothing_else_changes(
    scorer: Scorer, prepared: Prepared
) -> None:
    z, wave = np.zeros(len(prepared.flux)), scorer.model.wave
    whole = scorer.raw_scorer.score(prepared.flux, prepared.ivar, z)
    raw = RawScorer(scorer.vae, wave, None, None).score(prepared.flux, prepared.ivar, z)
    assert np.isnan(raw.nof).all()
    for unknown in (raw.camera_offset, raw.second_galaxy, raw.galaxy_distance):
        assert np.isnan(unknown).all()
    np.testing.assert_array_equal(raw.wmse, whole.wmse)


def test_no_spectra_give_no_scores(scorer: Scorer, prepared: Prepared) -> None:
    raw = scorer.raw_scorer.score(prepared.flux[:0], prepared.ivar[:0], np.zeros(0))
    assert raw.latent.shape == (0, scorer.model.latents)
    assert raw.wmse.shape == raw.nof.shape == (0,)
