"""Camera offsets: those that a simulated petal has are found and taken off."""

from dataclasses import replace

import numpy as np
import pytest

from outcrop import Band, Spectra, correct_noise
from outcrop.camera_offsets import CameraOffsets
from outcrop.noise import describe_noise
from outcrop.scores import Status
from outcrop.spectra import CAMERAS, WAVE

OFF = {"b": 0.03, "r": 0.0, "z": -0.04}
SKY = 40


def petal(
    count: int = 400, off: dict[str, float] = OFF, seed: int = 1, sigma: float = 0.5
) -> Spectra:
    """Spectra of objects of any brightness, each with a slope of its own, and of sky fibers."""
    rng = np.random.default_rng(seed)
    brightness = np.append(np.exp(rng.normal(0.5, 1, count)), np.zeros(SKY))[:, None]
    slope = rng.normal(0, 0.5, (count + SKY, 1))
    bands: dict[str, Band] = {}
    for name in CAMERAS:
        true = brightness * (1 + slope * (WAVE[name] - 6000) / 6000)
        noise = sigma * rng.normal(size=true.shape)
        flux = ((1 + off[name]) * true + noise).astype(np.float32)
        bands[name] = Band(flux, np.full(flux.shape, 1 / sigma**2, np.float32))

    objtype = np.array(["TGT"] * count + ["SKY"] * SKY)
    return Spectra(
        bands,
        z=np.full(count + SKY, 0.1),
        targetid=np.arange(1, count + SKY + 1),
        status=np.where(objtype == "SKY", int(Status.NOT_TARGET), 0).astype(np.int32),
        objtype=objtype,
    )


def test_offsets_are_measured_relative_to_r() -> None:
    found = CameraOffsets.measure(petal()).offset
    assert found["r"] == 0
    assert found["b"] == pytest.approx(OFF["b"], abs=0.005)
    assert found["z"] == pytest.approx(OFF["z"], abs=0.005)


def test_without_an_offset_none_is_found() -> None:
    found = CameraOffsets.measure(petal(off=dict.fromkeys(CAMERAS, 0.0))).offset
    assert max(abs(value) for value in found.values()) < 0.005


def test_the_mean_is_unbiased_where_noise_dominates() -> None:
    noisy = [CameraOffsets.measure(petal(seed=s, sigma=4.0)).offset["b"] for s in range(20)]
    assert np.mean(noisy) == pytest.approx(OFF["b"], abs=0.006)


def test_corrected_cameras_agree() -> None:
    spectra = petal()
    corrected = correct_noise(spectra)
    left = CameraOffsets.measure(corrected).offset
    assert max(abs(value) for value in left.values()) < 0.002

    # What is taken off the flux is taken off its error.
    for name in CAMERAS:
        before, after = spectra.bands[name], corrected.bands[name]
        factor = np.median(after.flux[:400] / before.flux[:400])
        assert factor == pytest.approx(1 / (1 + OFF[name]), abs=0.006)
        variance = corrected.inputs.noise[f"NOISE_{name.upper()}"]
        np.testing.assert_allclose(after.ivar, before.ivar / variance / factor**2, rtol=0.01)
    assert corrected.inputs.noise["OFFSET_B"] == pytest.approx(OFF["b"], abs=0.005)


def test_a_few_odd_spectra_do_not_matter() -> None:
    spectra = petal()
    blue = spectra.bands["b"]
    flux, ivar = blue.flux.copy(), blue.ivar.copy()
    flux[:20] *= 1.5
    flux[20, :], ivar[21, :], flux[22, -10:] = np.nan, np.inf, 1e30
    ivar[23] = -1
    odd = replace(spectra, bands={**spectra.bands, "b": Band(flux, ivar)})
    found = CameraOffsets.measure(odd).offset
    assert found["b"] == pytest.approx(OFF["b"], abs=0.008)
    assert found["z"] == pytest.approx(OFF["z"], abs=0.005)


def test_the_order_of_the_rows_does_not_matter() -> None:
    spectra = petal()
    backwards = spectra[np.arange(len(spectra))[::-1]]
    assert CameraOffsets.measure(backwards) == CameraOffsets.measure(spectra)


@pytest.mark.parametrize(
    "spectra",
    [
        petal(count=40),
        replace(petal(), bands={name: petal().bands[name] for name in ("b", "r")}),
        petal()[:0],
    ],
    ids=["few targets", "no camera z", "empty"],
)
def test_otherwise_nothing_is_measured(spectra: Spectra) -> None:
    assert set(CameraOffsets.measure(spectra).offset.values()) == {0.0}
    assert spectra.bands.keys() == correct_noise(spectra).bands.keys()


@pytest.mark.parametrize("off", [{"b": 0.4, "z": 0.0}, {"b": 0.0, "z": -0.3}])
def test_a_large_offset_is_reported_and_the_petal_left_as_it_is(off: dict[str, float]) -> None:
    spectra = petal(off={"r": 0.0, **off})
    left = correct_noise(spectra)
    cards = left.inputs.noise
    assert (cards["NSKY"], cards["SKYCORR"]) == (SKY, False)
    assert (cards["OFFSET_B"], cards["OFFSET_Z"]) == pytest.approx((off["b"], off["z"]), abs=0.1)
    assert "not within 0.25 to 4 and ±0.2" in describe_noise(cards)
    for name in CAMERAS:
        np.testing.assert_array_equal(left.bands[name].flux, spectra.bands[name].flux)


@pytest.mark.parametrize("off", [{"b": 99.0}, {"b": -1.0}, {"z": -1.0}, {"z": 99.0}])
def test_offsets_are_within_one(off: dict[str, float]) -> None:
    # A camera without flux, or with far too much.
    found = CameraOffsets.measure(petal(off=dict.fromkeys(CAMERAS, 0.0) | off)).offset
    assert all(-1 <= value <= 1 for value in found.values())


def test_without_sky_fibers_nothing_is_corrected() -> None:
    spectra = petal()[:400]
    corrected = correct_noise(spectra)
    for name in CAMERAS:
        np.testing.assert_array_equal(corrected.bands[name].flux, spectra.bands[name].flux)
