"""The robust reconstruction: not bent by what is injected, and the plain one where that fits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from outcrop import Spectra, find_petals, read_spectra
from scoring.preprocess import Prepared
from scoring.robust import (
    RobustReconstruction,
    _left_out,
    _running_median,
    robust_reconstruction,
)
from scoring.scorer import MIN_COVERAGE, Scorer

LINE = 130
"""The bin with the injected line."""
DIP = slice(60, 100)


def prepare(scorer: Scorer, spectra: Spectra) -> Prepared:
    rest = scorer.preprocessor.to_rest_frame(spectra)
    return scorer.preprocessor.prepare(rest.rows(rest.coverage >= MIN_COVERAGE))


def robust(scorer: Scorer, flux: np.ndarray, ivar: np.ndarray) -> RobustReconstruction:
    latent = scorer.vae.encode(flux)
    return robust_reconstruction(scorer.vae, flux, ivar, latent, scorer.vae.decode(latent))


def significance(residual: NDArray[np.float64], good: NDArray[np.bool_]) -> float:
    """Return that of the most significant window, by its definition."""
    return max(
        abs(residual[j : j + width][inside].sum()) / np.sqrt(inside.sum())
        for width in (1, 4, 16, 64, 256)
        for j in range(max(len(residual) - width, 0) + 1)
        for inside in [good[j : j + width]]
        if inside.any()
    )


@dataclass(frozen=True)
class Injected:
    """Inliers on which the model works, and the same with something injected."""

    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    expected: NDArray[np.float32]
    """The plain reconstruction of the inliers, in the unit of the injected spectra."""
    ratio: NDArray[np.float32]
    """Norm of the inliers over that of the injected spectra."""

    def bend(self, reconstruction: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return by how much a reconstruction differs from the expected one, as reduced χ²."""
        squares = self.ivar * (reconstruction.astype(float) - self.expected) ** 2
        return squares.sum(axis=1) / (self.ivar > 0).sum(axis=1)


@pytest.fixture(scope="module")
def prepared(scorer: Scorer, spectra: Spectra) -> Prepared:
    return prepare(scorer, spectra)


@pytest.fixture(scope="module")
def inliers(scorer: Scorer, sky: Path) -> Prepared:
    """Spectra of S/N above 5 that the model explains."""
    petal = find_petals(sky)[1]
    spectra = read_spectra(petal.coadd, petal.redrock)
    scores = scorer.score(spectra)
    prepared = prepare(scorer, spectra[np.flatnonzero(scores.snr > 5)])
    plain = scorer.vae.decode(scorer.vae.encode(prepared.flux))
    residual = (prepared.flux - plain) * np.sqrt(prepared.ivar)
    good = prepared.ivar > 0
    explained = [
        i for i in range(len(good)) if good[i].all() and significance(residual[i], good[i]) < 6
    ]
    assert len(explained) > 50
    return Prepared(prepared.flux[explained], prepared.ivar[explained], prepared.norm[explained])


def inject(scorer: Scorer, inliers: Prepared, added: NDArray[np.float64]) -> Injected:
    changed = inliers.flux + added
    norm = np.linalg.norm(changed, axis=1, keepdims=True)
    plain = scorer.vae.decode(scorer.vae.encode(inliers.flux))
    return Injected(
        (changed / norm).astype(np.float32),
        (inliers.ivar * norm**2).astype(np.float32),
        (plain / norm).astype(np.float32),
        (1 / norm[:, 0]).astype(np.float32),
    )


def test_explained_spectra_keep_their_plain_reconstruction(
    scorer: Scorer, inliers: Prepared
) -> None:
    found = robust(scorer, inliers.flux, inliers.ivar)
    latent = scorer.vae.encode(inliers.flux)
    np.testing.assert_array_equal(found.latent, latent)
    np.testing.assert_array_equal(found.reconstruction, scorer.vae.decode(latent))
    assert (found.norm == 1).all()
    assert not found.left_out.any()


def test_a_line_that_dominates_the_norm_does_not_bend_the_rest(
    scorer: Scorer, inliers: Prepared
) -> None:
    # 300 times the continuum: most of the norm, and all that the encoder sees.
    added = np.zeros(inliers.flux.shape)
    added[:, LINE] = 300 * np.median(inliers.flux, axis=1)
    injected = inject(scorer, inliers, added)
    plain = injected.bend(scorer.vae.decode(scorer.vae.encode(injected.flux)))
    found = robust(scorer, injected.flux, injected.ivar)
    bend = injected.bend(found.reconstruction)
    assert np.median(plain) > 10
    assert np.median(bend) < 0.01
    assert np.quantile(bend, 0.9) < 0.1
    assert found.left_out[:, LINE].all()
    np.testing.assert_allclose(np.median(found.norm / injected.ratio), 1, rtol=2e-3)


def test_a_dip_does_not_bend_the_rest(scorer: Scorer, inliers: Prepared) -> None:
    added = np.zeros(inliers.flux.shape)
    added[:, DIP] = -1.5 * inliers.flux[:, DIP]
    injected = inject(scorer, inliers, added)
    plain = injected.bend(scorer.vae.decode(scorer.vae.encode(injected.flux)))
    found = robust(scorer, injected.flux, injected.ivar)
    assert np.median(injected.bend(found.reconstruction)) < 0.2 * np.median(plain)
    assert found.left_out[:, DIP].mean() > 0.6
    assert found.left_out[:, DIP.stop + 60 :].mean() < 0.05


def test_no_row_changes_another(scorer: Scorer, prepared: Prepared) -> None:
    together = robust(scorer, prepared.flux, prepared.ivar)
    changed = np.flatnonzero(together.left_out.any(axis=1))
    assert len(changed) > 10
    for row in [*changed[:10], 0, 1]:
        alone = robust(scorer, prepared.flux[row : row + 1], prepared.ivar[row : row + 1])
        np.testing.assert_array_equal(alone.left_out[0], together.left_out[row])
        np.testing.assert_allclose(alone.latent[0], together.latent[row], rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(
            alone.reconstruction[0], together.reconstruction[row], rtol=2e-5, atol=1e-6
        )


def test_the_clipped_error_never_grows(scorer: Scorer, prepared: Prepared) -> None:
    plain = scorer.vae.decode(scorer.vae.encode(prepared.flux))
    found = robust(scorer, prepared.flux, prepared.ivar)
    before, after = (
        np.minimum(prepared.ivar * (prepared.flux.astype(float) - model) ** 2, 9).sum(axis=1)
        for model in (plain, found.reconstruction)
    )
    changed = (found.latent != scorer.vae.encode(prepared.flux)).any(axis=1)
    assert (after[changed] < before[changed]).all()
    np.testing.assert_array_equal(after[~changed], before[~changed])


def test_the_reconstruction_is_that_of_the_latent_at_its_norm(
    scorer: Scorer, prepared: Prepared
) -> None:
    found = robust(scorer, prepared.flux, prepared.ivar)
    decoded = scorer.vae.decode(found.latent) * found.norm[:, None]
    np.testing.assert_allclose(found.reconstruction, decoded, rtol=1e-4, atol=1e-6)


def test_only_good_bins_are_left_out_and_at_most_half_of_them(
    scorer: Scorer, prepared: Prepared
) -> None:
    # What no model explains: signs at random, far above the noise.
    signs = np.sign(np.random.default_rng(1).normal(size=prepared.flux.shape))
    signs /= np.sqrt(signs.shape[1])
    flux = np.concatenate([prepared.flux, signs.astype(np.float32)])
    ivar = np.concatenate([prepared.ivar, np.full_like(prepared.ivar, 1e6)])
    ivar[:, 40:60] = 0
    found = robust(scorer, flux, ivar)
    assert not found.left_out[ivar == 0].any()
    assert (found.left_out.sum(axis=1) <= 0.5 * (ivar > 0).sum(axis=1)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
def test_an_absurd_plain_reconstruction_changes_no_other_row(
    scorer: Scorer, inliers: Prepared, value: float
) -> None:
    flux, ivar = inliers.flux[:4], inliers.ivar[:4]
    latent = scorer.vae.encode(flux)
    plain = scorer.vae.decode(latent)
    plain[1] = value
    found = robust_reconstruction(scorer.vae, flux, ivar, latent, plain)
    np.testing.assert_array_equal(found.latent[[0, 2, 3]], latent[[0, 2, 3]])
    if np.isnan(value):
        np.testing.assert_array_equal(found.reconstruction[1], plain[1])
    else:
        assert np.abs(found.reconstruction[1]).max() < 1


def test_no_spectra_give_no_reconstructions(scorer: Scorer, prepared: Prepared) -> None:
    found = robust(scorer, prepared.flux[:0], prepared.ivar[:0])
    assert found.reconstruction.shape == (0, prepared.flux.shape[1])
    assert found.norm.shape == (0,)


def test_windows_are_left_out_with_their_wings_and_largest_first() -> None:
    residual = np.zeros((1, 400), np.float32)
    residual[0, 100] = 50
    residual[0, [99, 101]] = 2
    residual[0, [97, 98, 102]] = 0.5
    residual[0, 200:216] = -5
    one, zero = np.ones_like(residual), np.zeros_like(residual)

    largest = np.flatnonzero(_left_out(residual, one, zero, 0.6)[0])
    assert largest.tolist() == [99, 100, 101]
    both = np.flatnonzero(_left_out(residual, one, zero, 0.2)[0])
    assert both.tolist() == [99, 100, 101, *range(200, 216)]
    bad = one.copy()
    bad[0, 100] = 0
    dip = np.flatnonzero(_left_out(residual, bad, zero, 0.6)[0])
    assert dip.tolist() == [*range(200, 216)]


def test_the_running_median_is_that_of_the_bins_around() -> None:
    flux = np.random.default_rng(2).normal(size=(3, 300)).astype(np.float32)
    flux[0, 20:200] = 1
    for bins in (300, 70, 1):
        windows = [
            [np.sort(row[max(j - 50, 0) : j + 51]) for j in range(bins)] for row in flux[:, :bins]
        ]
        expected = [[window[len(window) // 2] for window in row] for row in windows]
        got = _running_median(np.ascontiguousarray(flux[:, :bins]))
        np.testing.assert_array_equal(got, expected)
