"""From raw spectra to scores: no row depends on the others, bad rows have status bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model_store.bundle import Bundle
from model_store.population import BGS_ANY, Population
from outcrop import Band, Scores, Spectra, Status, find_petals, read_spectra
from outcrop.scores import INELIGIBLE
from outcrop.spectra import WAVE
from scoring.robust import robust_reconstruction
from scoring.scorer import STAGES, Scorer
from tests.failing_bundle import failing_bundle

FLOATS = ("snr", "coverage", "norm", "latent", "wmse", "nof", "p_value")


@pytest.fixture(scope="module")
def scores(scorer: Scorer, spectra: Spectra) -> Scores:
    return scorer.score(spectra, reconstruction=True)


def assert_same(one: Scores, other: Scores) -> None:
    for name in FLOATS:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=2e-5, atol=1e-5, err_msg=name
        )
    for name in ("targetid", "status", "anomaly", "wmse_anomaly", "nof_anomaly"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_batch_equals_batches_of_one(scorer: Scorer, spectra: Spectra, scores: Scores) -> None:
    singles = [scorer.score(spectra[i : i + 1], reconstruction=True) for i in range(len(spectra))]
    assert_same(Scores.concatenate(singles), scores)


def test_bad_neighbours_change_nothing(scorer: Scorer, spectra: Spectra, scores: Scores) -> None:
    bands = {
        name: Band(band.flux.copy(), band.ivar.copy(), band.mask)
        for name, band in spectra.bands.items()
    }
    spoilt = np.arange(0, len(spectra), 7)
    for i, row in enumerate(spoilt):
        for band in bands.values():
            band.flux[row] = [np.nan, np.inf, 3e38, -1e30, 0, 1e-40][i % 6]
            band.ivar[row] = [np.nan, -1, 3e38, 0, np.inf, 1][i % 6]
    z = spectra.z.copy()
    z[spoilt[::2]] = np.nan

    after = scorer.score(replace(spectra, bands=bands, z=z), reconstruction=True)
    kept = np.setdiff1d(np.arange(len(spectra)), spoilt)
    assert_same(after[kept], scores[kept])


def test_wmse_is_equation_six(scorer: Scorer, scores: Scores) -> None:
    computed = np.isfinite(scores.wmse)
    assert scores.rest_flux is not None
    assert scores.rest_ivar is not None
    plain = scorer.vae.decode(scores.latent[computed]) * scores.norm[computed, None]
    residual = scores.rest_flux[computed].astype(float) - plain
    expected = (scores.rest_ivar[computed] * residual**2).sum(axis=1) / residual.shape[1]
    np.testing.assert_allclose(scores.wmse[computed], expected, rtol=1e-3)


def test_the_reconstruction_is_the_robust_one(
    scorer: Scorer, spectra: Spectra, scores: Scores
) -> None:
    rows = np.flatnonzero(np.isfinite(scores.wmse))
    prepared = scorer.preprocessor(spectra[rows])
    raw = scorer.raw_scorer.score(prepared.flux, prepared.ivar, spectra.z[rows])
    robust = robust_reconstruction(
        scorer.vae, prepared.flux, prepared.ivar, raw.latent, raw.reconstruction
    )
    assert robust.left_out.any(axis=1).sum() > 10
    assert scores.reconstruction is not None
    np.testing.assert_allclose(
        scores.reconstruction[rows], robust.reconstruction * prepared.norm[:, None], rtol=1e-4
    )
    # The scores are the paper's, of the plain one.
    np.testing.assert_allclose(scores.latent[rows], raw.latent, rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(scores.wmse[rows], raw.wmse, rtol=2e-5)


def test_norm_and_snr_are_those_of_the_rest_frame_spectrum(scores: Scores) -> None:
    assert scores.rest_flux is not None
    assert scores.rest_ivar is not None
    rows = np.flatnonzero(np.isfinite(scores.wmse))
    np.testing.assert_allclose(
        np.linalg.norm(scores.rest_flux[rows], axis=1), scores.norm[rows], rtol=1e-4
    )
    for row in rows[:50]:
        good = scores.rest_ivar[row] > 0
        snr = np.median(scores.rest_flux[row, good] * np.sqrt(scores.rest_ivar[row, good]))
        assert scores.snr[row] == pytest.approx(snr, rel=1e-4, abs=1e-4)
        assert scores.coverage[row] == pytest.approx(good.mean())


def test_ineligible_rows_keep_the_scores_that_can_be_computed(scores: Scores) -> None:
    ineligible = ~scores.eligible
    assert ineligible.any()
    assert np.isnan(scores.p_value[ineligible]).all()
    assert not scores.anomaly[ineligible].any()
    assert not scores.wmse_anomaly[ineligible].any()

    beyond = (scores.status == int(Status.Z_OUT_OF_RANGE)) & (scores.coverage > 0.5)
    assert beyond.any()
    assert np.isfinite(scores.wmse[beyond]).all()

    no_data = (scores.status & int(Status.NO_DATA)) != 0
    assert no_data.any()
    assert np.isnan(scores.wmse[no_data]).all()
    assert np.isfinite(scores.p_value[scores.eligible]).all()


def test_the_paper_flags_start_at_snr_5(scores: Scores, scorer: Scorer) -> None:
    bright = scores.eligible & (scores.snr >= 5)
    thresholds = scorer.model.thresholds
    np.testing.assert_array_equal(scores.wmse_anomaly, bright & (scores.wmse > thresholds["wmse"]))
    np.testing.assert_array_equal(scores.nof_anomaly, bright & (scores.nof < thresholds["nof"]))
    np.testing.assert_array_equal(scores.anomaly, scores.p_value < scorer.model.p_level)


def test_training_spectra_get_their_bit(scorer: Scorer, sky: Path) -> None:
    numbers = []
    for petal in find_petals(sky):
        scores = scorer.score(read_spectra(petal.coadd, petal.redrock))
        numbers.append(np.count_nonzero(scores.status & int(Status.IN_TRAINING)))

    # Whole petals are held out for the calibration; a few targets lie on more than one petal.
    assert min(numbers) < 50
    assert 100 < max(numbers) < 500


@pytest.mark.parametrize("factor", [1e-4, 1e6])
def test_beyond_the_calibrated_range_there_are_scores_but_no_p_value(
    scorer: Scorer, spectra: Spectra, factor: float
) -> None:
    bands = {
        name: replace(band, ivar=(band.ivar * factor).astype(np.float32))
        for name, band in spectra.bands.items()
    }
    scored = scorer.score(replace(spectra, bands=bands))
    low, high = scorer.calibration.snr_range
    beyond = (scored.status & int(Status.EXTRAPOLATED)) != 0
    assert 30 < beyond.sum() < len(scored)
    assert ((scored.snr[beyond] < low) | (scored.snr[beyond] > high)).all()
    assert np.isfinite(scored.wmse[beyond]).all()
    assert np.isnan(scored.p_value[beyond]).all()
    assert not (scored.anomaly | scored.wmse_anomaly | scored.nof_anomaly)[beyond].any()
    inside = scored.eligible
    assert ((scored.snr[inside] >= low) & (scored.snr[inside] <= high)).all()


def test_a_spectrum_that_fits_too_well_gets_its_bit_and_stays_eligible(
    scorer: Scorer, spectra: Spectra, scores: Scores
) -> None:
    # Errors four times as large as the noise.
    bands = {name: replace(band, ivar=band.ivar / 16) for name, band in spectra.bands.items()}
    found = scorer.score(replace(spectra, bands=bands))
    fits = found.eligible & (found.wmse < 0.5 * found.coverage)
    assert fits.sum() > 100
    too_good = int(Status.TOO_GOOD)
    assert (found.status[fits] & too_good != 0).all()
    assert not (scores.status[scores.eligible] & too_good).any()


def test_outside_the_population_there_are_scores_but_no_p_value(
    scorer: Scorer, spectra: Spectra
) -> None:
    bits = np.full(len(spectra), BGS_ANY)
    star, unknown, sky = np.arange(0, 300, 3), np.arange(1, 300, 3), np.arange(2, 300, 30)
    bits[star], bits[unknown], bits[sky] = 1 << 61, -1, 1 << 32
    status = spectra.status.copy()
    status[sky] |= int(Status.NOT_TARGET)
    found, without = (
        scorer.score(replace(spectra, desi_target=known, status=status)) for known in (bits, None)
    )

    outside = (found.status & int(Status.OUT_OF_POPULATION)) != 0
    targets = (found.status & int(Status.NOT_TARGET)) == 0
    np.testing.assert_array_equal(outside, np.isin(np.arange(len(spectra)), star) & targets)
    lost = outside & without.eligible
    assert lost.sum() > 30
    assert np.isfinite(found.wmse[lost]).all()
    assert np.isnan(found.p_value[lost]).all()
    assert not (found.anomaly | found.wmse_anomaly | found.nof_anomaly)[lost].any()
    others = np.flatnonzero(~outside)
    assert_same(found[others], without[others])


def test_without_target_bits_every_spectrum_counts_as_inside(
    scorer: Scorer, spectra: Spectra, scores: Scores
) -> None:
    without = scorer.score(replace(spectra, desi_target=None))
    assert not (without.status & int(Status.OUT_OF_POPULATION)).any()
    inside = np.flatnonzero((scores.status & int(Status.OUT_OF_POPULATION)) == 0)
    assert_same(without[inside], scores[inside])


def test_a_model_of_any_population_scores_all_targets(bundle: Path, spectra: Spectra) -> None:
    opened = Bundle.open(bundle)
    manifest = opened.manifest.model_copy(update={"population": Population()})
    every = Scorer(replace(opened, manifest=manifest))
    bits = np.full(len(spectra), 1 << 61)
    found = every.score(replace(spectra, desi_target=bits))
    assert not (found.status & int(Status.OUT_OF_POPULATION)).any()
    assert (every.model.population, Scorer(opened).model.population) == ("any", "BGS")


def test_a_repeated_targetid_gets_its_bit_in_any_block(scorer: Scorer, spectra: Spectra) -> None:
    count = len(spectra)
    targetid = np.arange(1, count + 1)
    # The first and the last row are in different blocks; 0 is the TARGETID of rows without one.
    targetid[[0, count - 1]] = 5
    targetid[[7, 8]] = 0
    plain = replace(spectra, targetid=targetid, status=np.zeros(count, np.int32))
    status = scorer.score(plain).status
    duplicate = np.flatnonzero((status & int(Status.DUPLICATE)) != 0)
    assert duplicate.tolist() == [0, 4, count - 1]
    alone = scorer.score(plain[:1]).status
    assert (alone & int(Status.DUPLICATE)).tolist() == [0]


def test_no_spectra_give_no_rows(scorer: Scorer, spectra: Spectra) -> None:
    empty = scorer.score(spectra[:0], reconstruction=True)
    np.testing.assert_array_equal(empty.rest_wave, scorer.model.wave)
    assert len(empty) == 0
    assert empty.latent.shape == (0, scorer.model.latents)


def test_an_observer_is_called_for_each_stage_and_changes_nothing(
    scorer: Scorer, spectra: Spectra, scores: Scores
) -> None:
    stages: list[str] = []
    durations: list[float] = []

    def observe(stage: str, seconds: float) -> None:
        stages.append(stage)
        durations.append(seconds)

    single = scorer.score(spectra[:1], observe=observe)
    assert tuple(stages) == STAGES
    assert min(durations) > 0
    assert single.p_value[0] == pytest.approx(scores.p_value[0], rel=2e-5, nan_ok=True)


def test_a_spectrum_of_one_camera_gets_its_bit(scorer: Scorer, spectra: Spectra) -> None:
    red = scorer.score(replace(spectra, bands={"r": spectra.bands["r"]}))
    assert ((red.status & int(Status.MISSING_CAMERA)) != 0).all()
    assert not red.eligible.any()


values = st.one_of(
    st.floats(width=32), st.sampled_from([0.0, 1.0, -1.0, 3e38, -3e38, 1e-45, 1e-30, 1e30])
)


@settings(max_examples=60, deadline=None)
@given(
    flux=hnp.arrays(np.float32, 30, elements=values),
    ivar=hnp.arrays(np.float32, 30, elements=values),
    z=st.floats(),
    repeat=st.sampled_from([1, 40, 300]),
)
def test_no_nan_without_a_status_bit(
    scorer: Scorer, flux: np.ndarray, ivar: np.ndarray, z: float, repeat: int
) -> None:
    pixels = len(WAVE["brz"])
    band = Band(
        np.resize(np.repeat(flux, repeat), (1, pixels)).astype(np.float32),
        np.resize(np.repeat(ivar, repeat), (1, pixels)).astype(np.float32),
    )
    row = scorer.score(Spectra({"brz": band}, np.array([z]), np.array([1])), reconstruction=True)
    unscored = int(Status.NO_DATA | Status.NO_REDSHIFT | Status.NO_SPECTRUM | Status.LOW_COVERAGE)
    for name in ("norm", "latent", "wmse", "nof", "reconstruction", "rest_flux"):
        if not np.isfinite(getattr(row, name)).all():
            assert row.status[0] & unscored, name
    if np.isnan(row.p_value[0]):
        assert row.status[0] & int(INELIGIBLE) or row.snr[0] < 1
    else:
        assert 0 < row.p_value[0] < 1


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_spectrum_the_model_fails_on_has_a_status_bit_and_changes_no_other(
    bundle: Path, spectra: Spectra, scores: Scores, tmp_path: Path, value: float
) -> None:
    # With b negative, so is the first bin.
    failing = np.flatnonzero(np.isfinite(scores.wmse) & (scores.coverage == 1))[:30:3]
    flux = spectra.bands["b"].flux.copy()
    flux[failing] = -np.abs(flux[failing])
    b = replace(spectra.bands["b"], flux=flux)
    changed = replace(spectra, bands={**spectra.bands, "b": b})
    expected = Scorer.open(bundle).score(changed, reconstruction=True)
    assert expected.rest_flux is not None
    failing = np.flatnonzero(expected.rest_flux[:, 0] < 0)
    assert len(failing) > 5

    found = Scorer.open(failing_bundle(bundle, tmp_path / "failing", value)).score(
        changed, reconstruction=True
    )
    assert (found.status[failing] == expected.status[failing] | Status.NOT_SCORED).all()
    assert not found.eligible[failing].any()
    assert not (found.anomaly | found.wmse_anomaly | found.nof_anomaly)[failing].any()
    for name in ("norm", "latent", "wmse", "nof", "p_value", "reconstruction", "rest_flux"):
        assert np.isnan(getattr(found, name)[failing]).all(), name

    others = np.setdiff1d(np.arange(len(spectra)), failing)
    assert not (found.status[others] & Status.NOT_SCORED).any()
    assert_same(found[others], expected[others])
