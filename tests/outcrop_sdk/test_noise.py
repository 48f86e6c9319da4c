"""The noise of a petal, against skies whose noise is known and against astropy's statistics."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from astropy.stats import mad_std, sigma_clip
from numpy.typing import NDArray

from outcrop import WAVE, Band, PetalNoise, Spectra, Status, correct_noise
from outcrop.inputs import Inputs
from outcrop.model import ModelIdentity
from outcrop.noise import LEAST_FIBERS, describe_noise, warn_of_other_noise

CAMERAS = ("b", "r", "z")
SIGMA = {"b": 2.0, "r": 1.0, "z": 0.5}


def left_over(camera: str) -> NDArray[np.float64]:
    """Return what is left of twenty sky lines in all fibers, (P,), in units of σ."""
    pixel = np.arange(len(WAVE[camera]))
    centres = np.linspace(100, len(pixel) - 100, 20)
    signs = np.where(np.arange(20) % 3 == 0, -1, 1)
    return (0.8 * signs * np.exp(-((pixel[:, None] - centres) ** 2) / 4)).sum(axis=1)


def petal(
    variance: dict[str, float],
    residual: float = 0,
    sky: int = 30,
    targets: int = 10,
    seed: int = 0,
) -> Spectra:
    """Return sky fibers and targets whose noise has the given variance, in units of the reported.

    Targets have a flux of 10 σ.
    """
    rng = np.random.default_rng(seed)
    rows = sky + targets
    on_sky = rng.permutation(rows) < sky
    bands: dict[str, Band] = {}
    for camera, value in variance.items():
        noise = np.sqrt(value) * rng.standard_normal((rows, len(WAVE[camera])))
        pull = noise + residual * left_over(camera) + np.where(on_sky, 0, 10)[:, None]
        flux = (SIGMA[camera] * pull).astype(np.float32)
        bands[camera] = Band(flux, np.full_like(flux, SIGMA[camera] ** -2))

    return Spectra(
        bands,
        z=np.full(rows, 0.1),
        targetid=rng.permutation(rows) + 1,
        petal=np.full(rows, 3, np.int32),
        objtype=np.where(on_sky, "SKY", "TGT"),
    )


def changed(spectra: Spectra, change: Callable[[Band], None], camera: str = "b") -> Spectra:
    """Return the spectra with one band changed by a function, in place of a copy."""
    band = spectra.bands[camera]
    copy = Band(band.flux.copy(), band.ivar.copy(), np.zeros(band.flux.shape, np.int32))
    change(copy)
    return replace(spectra, bands={**spectra.bands, camera: copy})


def sky_rows(spectra: Spectra) -> NDArray[np.intp]:
    assert spectra.objtype is not None
    return np.flatnonzero(spectra.objtype == "SKY")


def assert_unchanged(corrected: Spectra, spectra: Spectra) -> None:
    for name, band in spectra.bands.items():
        np.testing.assert_array_equal(corrected.bands[name].flux, band.flux)
        np.testing.assert_array_equal(corrected.bands[name].ivar, band.ivar)
    assert corrected.inputs.noise["SKYCORR"] is False


@pytest.mark.parametrize("fibers", [12, 40])
def test_the_variance_is_that_of_the_noise(fibers: int) -> None:
    true = {"b": 0.9, "r": 1.0, "z": 1.2}
    found = [PetalNoise.measure(petal(true, 1.0, fibers, seed=seed)) for seed in range(8)]
    for camera, value in true.items():
        ratio = np.array([noise.variance[camera] for noise in found]) / value
        assert abs(ratio.mean() - 1) < 0.015
        assert ratio.std() < 0.025


def test_the_variance_is_that_of_an_independent_estimate() -> None:
    spectra = petal({"r": 1.15}, residual=1.0)
    band = spectra.bands["r"][sky_rows(spectra)]
    pull = band.flux * np.sqrt(band.ivar)
    clipped: Any = sigma_clip(pull, sigma=4, maxiters=1, axis=0, stdfunc="mad_std")
    expected = float(mad_std(pull - clipped.mean(axis=0)) ** 2 * 30 / 29)
    assert PetalNoise.measure(spectra).variance["r"] == pytest.approx(expected, rel=0.02)


def test_the_residual_at_sky_lines_is_mostly_found_and_hardly_any_elsewhere() -> None:
    for camera in CAMERAS:
        true = left_over(camera)
        lines = np.abs(true) > 0.1
        noise = PetalNoise.measure(petal({camera: 1.1}, residual=1.0, sky=40))
        wrong = noise.residual[camera] / SIGMA[camera] - true
        assert np.std(wrong[lines]) < 0.5 * np.std(true[lines])
        # The mean of forty fibers is known to 0.17 σ.
        assert np.std(wrong[~lines]) < 0.03


def test_where_nothing_is_left_over_nothing_is_taken_off() -> None:
    noise = PetalNoise.measure(petal(dict.fromkeys(CAMERAS, 1.0)))
    for camera in CAMERAS:
        assert np.std(noise.residual[camera]) < 0.01 * SIGMA[camera]


def test_a_residual_all_over_a_camera_is_taken_off() -> None:
    spectra = petal({"r": 1.0}, targets=0)
    band = spectra.bands["r"]
    spectra = replace(spectra, bands={"r": Band(band.flux + np.float32(0.7), band.ivar)})
    # The mean of each pixel, known to 0.18, is drawn towards 0.
    assert PetalNoise.measure(spectra).residual["r"].mean() == pytest.approx(0.7, abs=0.1)


def test_targets_get_the_variance_and_lose_the_residual() -> None:
    spectra = petal({"b": 0.9, "r": 1.2}, residual=1.0)
    noise, corrected = PetalNoise.measure(spectra), correct_noise(spectra)
    assert noise.corrected
    for camera, band in spectra.bands.items():
        after = corrected.bands[camera]
        assert after.flux.dtype == after.ivar.dtype == np.float32
        np.testing.assert_allclose(after.ivar * noise.variance[camera], band.ivar, rtol=1e-6)
        expected = band.flux - noise.residual[camera]
        np.testing.assert_allclose(after.flux, expected, rtol=1e-5, atol=1e-5)


def test_the_input_is_not_changed_and_corrected_only_once() -> None:
    spectra = petal({"z": 1.2}, residual=1.0)
    before = spectra.bands["z"].flux.copy(), spectra.bands["z"].ivar.copy()
    corrected = correct_noise(spectra)
    np.testing.assert_array_equal(spectra.bands["z"].flux, before[0])
    np.testing.assert_array_equal(spectra.bands["z"].ivar, before[1])
    assert not spectra.inputs.noise
    assert correct_noise(corrected) is corrected


def test_without_a_copy_the_result_is_the_same_and_in_the_arrays_of_the_input() -> None:
    spectra = petal(dict.fromkeys(CAMERAS, 1.2), residual=1.0)
    spectra.bands["r"].flux[:, 100:110] = 0
    copied, written = correct_noise(spectra), correct_noise(spectra, copy=False)
    assert written.inputs.noise == copied.inputs.noise
    for camera, band in written.bands.items():
        assert band.flux is spectra.bands[camera].flux
        assert band.ivar is spectra.bands[camera].ivar
        np.testing.assert_array_equal(band.flux, copied.bands[camera].flux)
        np.testing.assert_array_equal(band.ivar, copied.bands[camera].ivar)


def test_the_order_of_rows_does_not_matter_to_the_last_bit() -> None:
    spectra = petal(dict.fromkeys(CAMERAS, 1.1), residual=1.0)
    order = np.random.default_rng(5).permutation(len(spectra))
    one, other = correct_noise(spectra)[order], correct_noise(spectra[order])
    for camera in CAMERAS:
        np.testing.assert_array_equal(one.bands[camera].flux, other.bands[camera].flux)
        np.testing.assert_array_equal(one.bands[camera].ivar, other.bands[camera].ivar)


def test_targets_do_not_matter() -> None:
    spectra = petal({"b": 1.1}, residual=1.0)
    assert spectra.objtype is not None

    def spoil(band: Band) -> None:
        band.flux[spectra.objtype == "TGT"] = 1e30

    noise, other = PetalNoise.measure(spectra), PetalNoise.measure(changed(spectra, spoil))
    assert noise.variance == other.variance
    np.testing.assert_array_equal(noise.residual["b"], other.residual["b"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, 0.0])
@pytest.mark.parametrize("kind", ["flux", "ivar"])
def test_bad_pixels_of_sky_fibers_do_not_matter(kind: str, value: float) -> None:
    spectra = petal({"b": 1.1}, residual=1.0, sky=40)
    rows = sky_rows(spectra)

    def spoil(band: Band) -> None:
        array = band.flux if kind == "flux" else band.ivar
        array[rows[:3], :700] = value
        array[rows, 50] = value
        band.flux[rows[5], 900:1100] = 1e6
        band.mask[rows[5], 900:1100] = 4  # type: ignore[index]

    noise, other = PetalNoise.measure(spectra), PetalNoise.measure(changed(spectra, spoil))
    assert other.variance["b"] == pytest.approx(noise.variance["b"], rel=0.01)
    difference = other.residual["b"] - noise.residual["b"]
    assert np.abs(np.delete(difference, 50)).max() < 0.2 * SIGMA["b"]
    assert (
        np.isfinite(correct_noise(changed(spectra, spoil)).bands["b"].flux[rows[6:]]).mean() > 0.9
    )


def test_negative_ivar_of_sky_fibers_does_not_matter() -> None:
    spectra = petal({"b": 1.1})

    def spoil(band: Band) -> None:
        band.ivar[sky_rows(spectra)[:3], :700] = -1

    other = PetalNoise.measure(changed(spectra, spoil))
    assert other.variance["b"] == pytest.approx(PetalNoise.measure(spectra).variance["b"], rel=0.01)


@pytest.mark.parametrize("flux", [3.0, 100.0, 1e20])
@pytest.mark.parametrize("fibers", [LEAST_FIBERS + 1, 40])
def test_one_sky_fiber_that_sees_a_star_does_not_matter(fibers: int, flux: float) -> None:
    spectra = petal({"b": 1.1}, sky=fibers)

    def spoil(band: Band) -> None:
        band.flux[sky_rows(spectra)[0]] += flux * SIGMA["b"]

    noise = PetalNoise.measure(changed(spectra, spoil))
    assert noise.sky_fibers == fibers - 1
    assert noise.variance["b"] == pytest.approx(1.1, rel=0.05)
    assert np.abs(noise.residual["b"].mean()) < 0.01


def test_with_nine_sky_fibers_nothing_is_changed() -> None:
    spectra = petal({"b": 1.2}, residual=1.0, sky=LEAST_FIBERS - 1)
    corrected = correct_noise(spectra)
    assert_unchanged(corrected, spectra)
    assert corrected.inputs.noise["NSKY"] == 9
    assert "9 sky fibers, 10 are needed" in describe_noise(corrected.inputs.noise)


def test_sky_fibers_with_a_bad_status_are_not_used() -> None:
    spectra = petal({"b": 1.2}, sky=12)
    status = spectra.status.copy()
    status[sky_rows(spectra)[:3]] = int(Status.BAD_FIBER)
    assert PetalNoise.measure(replace(spectra, status=status)).sky_fibers == 9


def test_without_objtype_nothing_is_changed() -> None:
    spectra = replace(petal({"b": 1.2}), objtype=None)
    corrected = correct_noise(spectra)
    assert_unchanged(corrected, spectra)
    assert corrected.inputs.noise["NSKY"] == 0


def test_a_healpixel_is_not_changed() -> None:
    spectra = replace(petal({"b": 1.2}), inputs=Inputs(cards={"HEALPIX": 26065}))
    assert_unchanged(correct_noise(spectra), spectra)


def test_no_spectra_can_be_corrected() -> None:
    assert len(correct_noise(petal({"b": 1.2})[:0])) == 0


def test_a_camera_without_data_is_not_changed_and_the_others_are() -> None:
    spectra = petal({"b": 1.2, "r": 1.2})

    def mask(band: Band) -> None:
        band.mask[:] = 1  # type: ignore[index]

    corrected = correct_noise(changed(spectra, mask))
    np.testing.assert_array_equal(corrected.bands["b"].ivar, spectra.bands["b"].ivar)
    assert (corrected.bands["r"].ivar < spectra.bands["r"].ivar).all()
    noise = corrected.inputs.noise
    assert (noise["NOISE_B"], noise["NOISE_Z"], noise["SKYCORR"]) == (1, 1, True)


@pytest.mark.parametrize("variance", [0.1, 5.0])
def test_a_petal_with_an_implausible_variance_is_not_changed(variance: float) -> None:
    spectra = petal({"b": 1.2, "r": variance})
    corrected = correct_noise(spectra)
    assert_unchanged(corrected, spectra)
    assert corrected.inputs.noise["NOISE_R"] == pytest.approx(variance, rel=0.05)
    assert "not within 0.25 to 4" in describe_noise(corrected.inputs.noise)


def test_each_petal_has_its_own_noise() -> None:
    parts = [petal({"b": 0.9}, sky=30, seed=1), petal({"b": 1.3}, sky=40, seed=2)]
    few = petal({"b": 1.5}, sky=5, seed=3)
    joined = Spectra(
        {"b": Band(*(
            np.concatenate([getattr(part.bands["b"], name) for part in (*parts, few)])
            for name in ("flux", "ivar")
        ))},
        z=np.full(40 + 50 + 15, 0.1),
        targetid=np.arange(40 + 50 + 15) + 1,
        objtype=np.concatenate([p.objtype for p in (*parts, few) if p.objtype is not None]),
        petal=np.repeat([2, 7, 2], [40, 50, 15]).astype(np.int32),
        tileid=np.repeat([1, 1, 4], [40, 50, 15]).astype(np.int32),
    )  # fmt: skip
    ivar = correct_noise(joined).bands["b"].ivar * SIGMA["b"] ** 2
    assert ivar[:40] == pytest.approx(1 / 0.9, rel=0.05)
    assert ivar[40:90] == pytest.approx(1 / 1.3, rel=0.05)
    assert (ivar[90:] == 1).all()
    assert correct_noise(joined).inputs.noise["NSKY"] == 40


def test_a_row_is_corrected_as_with_its_whole_petal() -> None:
    spectra = petal({"b": 1.3, "r": 0.8, "z": 1}, residual=1)
    whole, noise = correct_noise(spectra), PetalNoise.measure(spectra)
    for row in range(0, len(spectra), 7):
        one = noise.correct(spectra[row])
        assert one.inputs.noise == whole.inputs.noise
        for name, band in whole[row].bands.items():
            np.testing.assert_array_equal(one.bands[name].flux, band.flux)
            np.testing.assert_array_equal(one.bands[name].ivar, band.ivar)


def test_a_pixel_without_information_stays_without() -> None:
    spectra = petal({"b": 1.2}, residual=1.0)

    def blank(band: Band) -> None:
        band.flux[:, 100] = 0
        band.ivar[:, 200] = 0
        band.flux[:, 300] = np.nan

    corrected = correct_noise(changed(spectra, blank)).bands["b"]
    assert (corrected.flux[:, 100] == 0).all()
    assert (corrected.ivar[:, 200] == 0).all()
    assert np.isnan(corrected.flux[:, 300]).all()


def test_what_was_done_is_said_in_one_line() -> None:
    text = describe_noise(correct_noise(petal({"b": 0.9, "r": 1.1, "z": 1.2}, sky=40)).inputs.noise)
    assert text.startswith("noise corrected from 40 sky fibers: variance 0.")
    assert describe_noise({}) == ""


@pytest.mark.parametrize(
    ("fitted", "corrected", "remedy"),
    [
        (True, False, "score without --no-noise-correction (in Python after"),
        (False, True, "score with --no-noise-correction (in Python without"),
        (True, True, ""),
        (False, False, ""),
        (None, True, ""),
        (None, False, ""),
    ],
)
def test_spectra_unlike_the_models_sample_are_warned_of_once(
    caplog: pytest.LogCaptureFixture, fitted: bool | None, corrected: bool, remedy: str
) -> None:
    model = ModelIdentity("outcrop", "1", f"{fitted}-{corrected}")
    with caplog.at_level(logging.WARNING, "outcrop"):
        for _ in range(3):
            warn_of_other_noise(model, fitted, corrected)
    assert len(caplog.messages) == bool(remedy)
    if remedy:
        assert "outcrop 1 (sha256" in caplog.text
        assert remedy in caplog.text
