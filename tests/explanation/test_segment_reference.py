"""The reference follows the cameras that agree, and is the robust reconstruction for the rest."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from explanation.segment_reference import reference_reconstruction
from outcrop import Spectra
from scoring.robust import robust_reconstruction
from scoring.scorer import Scorer

SHARE = 0.6


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> Scorer:
    return Scorer.open(bundle, 1)


def references(
    scorer: Scorer, spectra: Spectra, factor: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield flux, ivar, robust reconstruction, reference and blue bins of bright inliers.

    The factor multiplies the flux of the blue camera.
    """
    scores = scorer.score(spectra)
    rows = np.flatnonzero((scores.snr > 12) & (scores.p_value > 0.2) & (spectra.z > 0.03))[:15]
    rest = scorer.preprocessor.to_rest_frame(spectra[rows])
    wave, z = scorer.preprocessor.grid.wave, spectra.z[rows]
    blue = wave * (1 + z[:, None]) < 5780
    rest.flux[blue] *= factor
    rest.ivar[blue] /= factor**2

    made = scorer.preprocessor.prepare(rest)
    raw = scorer.raw_scorer.score(made.flux, made.ivar, z)
    robust = robust_reconstruction(
        scorer.vae, made.flux, made.ivar, raw.latent, raw.reconstruction
    ).reconstruction
    for i in range(len(rows)):
        one = made.flux[i], made.ivar[i], robust[i]
        yield *one, reference_reconstruction(scorer.vae, *one, z[i], wave), blue[i]


def test_a_camera_that_is_off_is_off_from_end_to_end(scorer: Scorer, spectra: Spectra) -> None:
    offsets = []
    for flux, ivar, _, reference, blue in references(scorer, spectra, SHARE):
        good = blue & (ivar > 0)
        parts = np.array_split(np.flatnonzero(good), 4)
        offsets.append([np.median(flux[part] / reference[part]) for part in parts])
    assert len(offsets) == 15
    assert np.mean(np.array(offsets) < 0.9) > 0.8


def test_an_inlier_keeps_its_robust_reconstruction(scorer: Scorer, spectra: Spectra) -> None:
    kept = [
        np.array_equal(robust, reference)
        for _, _, robust, reference, _ in references(scorer, spectra, 1.0)
    ]
    assert np.mean(kept) > 0.9


def test_a_spectrum_with_one_camera_keeps_its_robust_reconstruction(
    scorer: Scorer, spectra: Spectra
) -> None:
    flux, ivar, robust, _, blue = next(references(scorer, spectra, SHARE))
    alone = np.where(blue, ivar, np.float32(0))
    wave = scorer.preprocessor.grid.wave
    # At z = 0 all of these bins lie in the blue camera, too.
    assert reference_reconstruction(scorer.vae, flux, alone, robust, 0.0, wave) is robust
