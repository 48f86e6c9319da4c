"""The baselines, each against a plain version of itself or a case worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_store.bundle import Bundle
from outcrop import Band, Spectra
from outcrop.desi import find_petals, read_spectra
from outcrop.spectra import WAVE
from scoring.preprocess import Prepared
from scoring.residual import weighted_mse
from scoring.scorer import Scorer
from scoring.training_targetids import TrainingTargetids
from training import TrainingError
from training.evaluation.baselines import (
    PrincipalComponents,
    fit_baselines,
    fit_components,
    join_step,
    largest_residual,
    reconstruction_probability,
)


def made_prepared(rows: int, bins: int, seed: int = 0) -> Prepared:
    rng = np.random.default_rng(seed)
    flux = rng.normal(size=(rows, bins)).astype(np.float32)
    ivar = rng.uniform(0.5, 2, size=(rows, bins)).astype(np.float32)
    ivar[:, ::9] = 0
    return Prepared(flux, ivar, np.ones(rows, np.float32))


def cameras(step: float, sigma: float = 2.0, rows: int = 3) -> Spectra:
    """Flat spectra whose r camera lies higher by `step`."""
    bands = {
        name: Band(
            np.full((rows, len(WAVE[name])), 5.0 + step * (name == "r"), np.float32),
            np.full((rows, len(WAVE[name])), sigma**-2, np.float32),
        )
        for name in ("b", "r", "z")
    }
    return Spectra(bands, z=np.zeros(rows), targetid=np.arange(rows))


@pytest.fixture(scope="module")
def scorer(bundle: Path) -> Scorer:
    return Scorer.open(bundle)


@pytest.fixture(scope="module")
def prepared(scorer: Scorer, sky: Path) -> Prepared:
    petal = find_petals(sky)[0]
    spectra = read_spectra(petal.coadd, petal.redrock)
    rows = np.flatnonzero(scorer.score(spectra).eligible)[:60]
    return scorer.preprocessor(spectra[rows])


def test_projection_is_weighted_least_squares() -> None:
    prepared = made_prepared(5, 40)
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.normal(size=(40, 6)))[0].T
    components = PrincipalComponents(rng.normal(size=40), axes)
    coefficients, chi2 = components.project(prepared.flux, prepared.ivar, 4)
    for row in range(5):
        root = np.sqrt(prepared.ivar[row].astype(float))
        centred = prepared.flux[row] - components.mean
        expected, residual, _, _ = np.linalg.lstsq(
            root[:, None] * axes[:4].T, root * centred, rcond=None
        )
        np.testing.assert_allclose(coefficients[row], expected, rtol=1e-4, atol=1e-5)
        assert chi2[row] == pytest.approx(residual[0] / (root > 0).sum(), rel=1e-5)


def test_chi2_is_one_per_good_bin_where_only_noise_is_left() -> None:
    rng = np.random.default_rng(2)
    axes = np.linalg.qr(rng.normal(size=(600, 3)))[0].T
    ivar = rng.uniform(1, 4, size=(200, 600)).astype(np.float32)
    ivar[:, :150] = 0
    model = rng.normal(size=(200, 3)) @ axes
    flux = (model + rng.normal(size=ivar.shape) / np.sqrt(np.maximum(ivar, 1))).astype(np.float32)
    _, chi2 = PrincipalComponents(np.zeros(600), axes).project(flux, ivar, 3)
    # Three of the 450 degrees of freedom are fitted.
    assert chi2.mean() == pytest.approx(447 / 450, abs=0.01)


def test_components_span_the_spectra_they_are_made_of() -> None:
    rng = np.random.default_rng(3)
    flux = (1 + rng.normal(size=(80, 4)) @ rng.normal(size=(4, 30))).astype(np.float32)
    _, chi2 = fit_components(flux, 4).project(flux, np.ones_like(flux), 4)
    assert chi2.max() < 1e-9


def test_the_largest_residual_is_in_sigma_and_leaves_bad_bins_out() -> None:
    flux = np.zeros((2, 4), np.float32)
    ivar = np.array([[4, 4, 0, 4], [1, 1, 1, 1]], np.float32)
    reconstruction = np.array([[0, -3, 100, 1], [0, 0.5, 0, 0]], np.float32)
    prepared = Prepared(flux, ivar, np.ones(2, np.float32))
    np.testing.assert_allclose(np.exp(largest_residual(prepared, reconstruction)), [6, 0.5])


def test_the_step_between_cameras_is_its_mean_over_its_error() -> None:
    # b and r share 51 pixels, each difference has an error of 2·√2; r and z share more, 126.
    step = join_step(cameras(step=1.0))
    assert step is not None
    np.testing.assert_allclose(np.exp(step), np.sqrt(126 / 8), rtol=1e-6)


def test_bad_pixels_of_an_overlap_do_not_count() -> None:
    spectra = cameras(step=1.0)
    blue, red = spectra.bands["b"], spectra.bands["r"]
    blue.flux[:, -1], blue.ivar[:, -1] = np.nan, 1.0
    red.flux[:, -5], red.ivar[:, -5] = 1e20, 0.0
    mask = np.zeros(blue.flux.shape, np.int32)
    blue.flux[:, -2], mask[:, -2] = 1e20, 4
    bands = {**spectra.bands, "b": Band(blue.flux, blue.ivar, mask)}
    step = join_step(replace(spectra, bands=bands))
    assert step is not None
    np.testing.assert_allclose(np.exp(step), np.sqrt(125 / 8), rtol=1e-6)


def test_without_two_cameras_there_is_no_step() -> None:
    spectra = cameras(step=1.0)
    assert join_step(replace(spectra, bands={"b": spectra.bands["b"]})) is None


def test_the_reconstruction_probability_is_the_mean_over_the_posterior(
    scorer: Scorer, prepared: Prepared
) -> None:
    draws = 3
    found = reconstruction_probability(scorer.vae, prepared, np.random.default_rng(4), draws)
    latent, log_variance = scorer.vae.posterior(prepared.flux)

    rng = np.random.default_rng(4)
    good = prepared.ivar > 0
    sigma = 1 / np.sqrt(np.where(good, prepared.ivar, 1).astype(float))
    total = np.zeros(len(latent))
    for _ in range(draws):
        noise = rng.standard_normal(latent.shape, dtype=np.float32)
        model = scorer.vae.decode(latent + np.exp(log_variance / 2) * noise)
        terms = -0.5 * ((prepared.flux - model) / sigma) ** 2 - np.log(np.sqrt(2 * np.pi) * sigma)
        total += np.where(good, terms, 0).sum(axis=1) / good.sum(axis=1)
    np.testing.assert_allclose(found.full, -total / draws, rtol=1e-4, atol=1e-4)
    assert found.seconds > 0


def test_the_expected_wmse_exceeds_that_of_the_mean_by_the_posteriors_width(
    scorer: Scorer, prepared: Prepared
) -> None:
    found = reconstruction_probability(scorer.vae, prepared, np.random.default_rng(5), 64)
    decoded = scorer.vae.decode(scorer.vae.encode(prepared.flux))
    coverage = (prepared.ivar > 0).mean(axis=1)
    plain = weighted_mse(prepared.flux, prepared.ivar, decoded) / coverage
    ratio = np.exp(found.expected_wmse) / plain
    assert np.median(ratio) > 1.0
    assert np.median(ratio) < 1.2


def test_the_baselines_share_the_models_sample_and_split(bundle: Path, sky: Path) -> None:
    opened = Bundle.open(bundle)
    fitted = fit_baselines(opened, [sky])
    assert fitted.same_sample
    calibrating = np.concatenate([*fitted.calibration.values()])
    assert len(calibrating) == opened.manifest.sample.counts["calibration"]
    assert not np.isin(calibrating, TrainingTargetids.of(opened).targetids).any()
    scores = fitted.scores(made_prepared(4, opened.manifest.grid.bins))
    assert list(scores) == ["pca50", "pca10", "isolation_forest", "lof"]
    assert all(np.isfinite(values).all() for values in scores.values())
    # More components can only fit better.
    assert (scores["pca50"] < scores["pca10"]).all()


def test_the_manifest_counts_the_calibration_spectra_of_each_class(bundle: Path, sky: Path) -> None:
    opened = Bundle.open(bundle)
    fitted = fit_baselines(opened, [sky])
    classes: list[str] = []
    for number, targetids in fitted.calibration.items():
        source = fitted.petals[number]
        spectra = read_spectra(source.coadd, source.redrock)
        assert spectra.spectype is not None
        classes += spectra.spectype[np.isin(spectra.targetid, targetids)].tolist()

    counts = opened.manifest.calibration.counts
    for name in ("GALAXY", "QSO", "STAR"):
        assert counts[f"calibration_{name}"] == classes.count(name)
    assert counts["calibration_GALAXY"] > 0.9 * counts["calibration"]


def test_a_manifest_of_another_version_is_rejected_by_name(bundle: Path, sky: Path) -> None:
    opened = Bundle.open(bundle)
    manifest = opened.manifest.model_copy(update={"configuration": {"colour": "blue"}})
    with pytest.raises(TrainingError, match=r"colour in the manifest.*or train again"):
        fit_baselines(replace(opened, manifest=manifest), [sky])
