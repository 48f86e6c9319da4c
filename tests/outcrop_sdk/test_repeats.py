"""Repeats: verdicts on segments whose place in the exposures is known, and the false ones."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from outcrop.explanations import VERDICTS, Explanation, Explanations, Repeats, Segment
from outcrop.exposures import Exposures
from outcrop.model import ModelIdentity
from outcrop.repeats import chi2_tail, repeats_of, with_repeats
from outcrop.spectra import WAVE, Band, Spectra
from tests.outcrop_sdk.test_exposures import IDS, write_spectra

LINE = Segment((5000.0, 5040.0), (6500.0, 6552.0), 20.0, 1, 0.5)
NARROW = Segment((5000.0, 5004.0), (6520.0, 6524.0), 20.0, 1, 0.5)
NIGHTS = {2: [1, 2], 3: [1, 2, 2], 4: [1, 1, 2, 2]}


def made(
    amplitudes: list[float],
    segment: Segment = LINE,
    height: float = 6.0,
    seed: int = 0,
    throughput: float = 0.05,
) -> tuple[Spectra, Exposures]:
    """Make a coadd and its exposures; the segment has these amplitudes in them.

    The continuum is 20 with noise of 1 per pixel of an exposure and camera.
    """
    rng = np.random.default_rng(seed)
    number, depth = len(amplitudes), rng.uniform(0.7, 1.3, len(amplitudes))
    scale = 1 + throughput * rng.standard_normal(number)
    bands: dict[str, Band] = {}
    for camera in ("b", "r", "z"):
        wave = WAVE[camera]
        inside = (wave >= segment.observed[0]) & (wave <= segment.observed[1])
        true = 20 + 0.001 * (wave - 6500) + height * np.outer(amplitudes, inside)
        noise = rng.standard_normal(true.shape) / np.sqrt(depth)[:, None]
        ivar = np.broadcast_to(depth[:, None], true.shape)
        flux = scale[:, None] * true + noise
        bands[camera] = Band(flux.astype(np.float32), ivar.astype(np.float32))

    weights = depth / depth.sum()
    coadd = {
        name: Band(
            (weights @ band.flux)[None].astype(np.float32),
            band.ivar.sum(axis=0)[None].astype(np.float32),
        )
        for name, band in bands.items()
    }
    spectra = Spectra(coadd, z=np.array([0.3]), targetid=np.array([7]))
    night = np.array(NIGHTS.get(number, [1] * number))
    return spectra, Exposures(bands, np.full(number, 7), 100 + np.arange(number), night)


def verdict_on(amplitudes: list[float], segment: Segment = LINE, **arguments: float) -> Repeats:
    spectra, exposures = made(amplitudes, segment, **arguments)  # type: ignore[arg-type]
    return repeats_of(segment, spectra, exposures)


@pytest.mark.parametrize("segment", [LINE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize(
    ("amplitudes", "verdict", "expid", "night"),
    [
        ([1, 1], "all exposures", -1, -1),
        ([1, 1, 1, 1], "all exposures", -1, -1),
        ([-1, -1, -1], "all exposures", -1, -1),
        ([0, 3, 0], "one exposure", 101, 2),
        ([2, 0], "one exposure", 100, 1),
        ([0, -2], "one exposure", 101, 2),
        ([0, 0, 2, 2], "one night", -1, 2),
        ([2, 2, 0, 0], "one night", -1, 1),
        ([3, 2, 1], "fading", -1, -1),
        ([1, 3, 1, 3], "varying", -1, -1),
    ],
)
def test_a_segment_is_in_the_exposures_that_have_it(
    segment: Segment, amplitudes: list[float], verdict: str, expid: int, night: int
) -> None:
    found = verdict_on(amplitudes, segment, height=10.0)
    assert (found.verdict, found.expid, found.night) == (verdict, expid, night)
    assert [one for one, _, _ in found.amplitudes] == [100 + n for n in range(len(amplitudes))]
    mean = np.mean(amplitudes)
    for (_, amplitude, error), true in zip(found.amplitudes, amplitudes, strict=True):
        assert abs(amplitude - true / mean) < 4 * math.hypot(error, 0.1)


def test_the_sentence_names_the_only_exposure() -> None:
    found = verdict_on([0, 0, 3])
    assert found.sentence.startswith("only in exposure 102 of 3, ")
    assert found.sentence.endswith("a cosmic ray, the instrument or a transient")
    assert found.significance > 5
    assert found.p_value < 1e-6


@pytest.mark.parametrize("amplitudes", [[1.0], []])
def test_a_single_exposure_cannot_repeat(amplitudes: list[float]) -> None:
    spectra, exposures = made([1.0])
    found = repeats_of(LINE, spectra, exposures[: len(amplitudes)])
    assert found.verdict == "unknown"
    assert "whether it repeats is unknown" in found.sentence
    assert math.isnan(found.p_value)
    assert len(found.amplitudes) == len(amplitudes)


def test_too_little_signal_is_unknown() -> None:
    found = verdict_on([1, 1, 1], NARROW, height=0.3)
    assert found.verdict == "unknown"
    assert found.sentence == "too little signal to compare 3 exposures"


def test_exposures_that_are_alike_are_rarely_called_unequal() -> None:
    found = [verdict_on([1, 1, 1], height=2.0, seed=seed) for seed in range(300)]
    p_value = np.array([one.p_value for one in found])
    assert {one.verdict for one in found} <= {"all exposures", "unknown"}
    assert np.mean(p_value < 0.05) < 0.05
    assert np.median(p_value) > 0.4


def test_exposures_of_another_calibration_are_alike() -> None:
    for seed in range(20):
        found = verdict_on([1, 1, 1], height=20.0, seed=seed, throughput=0.3)
        assert found.verdict == "all exposures"


def test_an_exposure_that_is_masked_there_is_left_out() -> None:
    spectra, exposures = made([1, 1, 1])
    red = exposures.bands["r"]
    masked = red.ivar.copy()
    masked[1] = 0
    bands = {**exposures.bands, "r": Band(red.flux, masked)}
    found = repeats_of(LINE, spectra, replace(exposures, bands=bands))
    assert [expid for expid, _, _ in found.amplitudes] == [100, 102]
    assert found.verdict == "all exposures"


@pytest.mark.parametrize("ends", [(3600.0, 9824.0), (3600.0, 5780.0), (9800.0, 9824.0)])
def test_a_segment_at_the_end_of_the_spectrum_can_be_compared(ends: tuple[float, float]) -> None:
    segment = replace(LINE, observed=ends)
    assert verdict_on([1, 1, 1], segment, throughput=0.0).verdict == "all exposures"
    assert verdict_on([0, 0, 0], segment, height=0).verdict in VERDICTS


def test_explanations_get_repeats_where_exposures_lie_beside_the_coadd(tmp_path: Path) -> None:
    bands = {name: Band(np.ones((3, len(wave)), np.float32), np.ones((3, len(wave)), np.float32))
             for name, wave in WAVE.items() if name != "brz"}  # fmt: skip
    spectra = Spectra(bands, z=np.zeros(3), targetid=np.array([7, 1, IDS[0]]))
    rows = (
        Explanation(7, 0, 0.5),
        Explanation(1, 0, 1e-4, segments=(LINE,)),
        Explanation(int(IDS[0]), 0, 1e-4, segments=(LINE, NARROW)),
    )
    explanations = Explanations(ModelIdentity("m", "1", "0"), rows)
    coadd = tmp_path / "coadd-1.fits"
    assert with_repeats(explanations, spectra, coadd) is explanations

    write_spectra(tmp_path / "spectra-1.fits")
    found = with_repeats(explanations, spectra, coadd)
    assert found[0] == rows[0]
    assert [one.repeats.sentence for one in found[1].segments if one.repeats] == [
        "there is no usable exposure: whether it repeats is unknown"
    ]
    assert [one.repeats is not None for one in found[2].segments] == [True, True]
    assert replace(found[2], segments=rows[2].segments) == rows[2]


@pytest.mark.parametrize("freedom", range(1, 12))
@pytest.mark.parametrize("value", [0.0, 0.1, 3.0, 20.0, 300.0])
def test_the_tail_of_chi2_is_scipys(value: float, freedom: int) -> None:
    assert chi2_tail(value, freedom) == pytest.approx(chi2.sf(value, freedom), rel=1e-9)


@pytest.mark.parametrize("where", ["coadd", "exposures"])
@pytest.mark.parametrize(
    ("flux", "ivar"), [(np.nan, 1), (np.inf, 1), (-3e38, 1), (0, np.nan), (1, np.inf), (1, -1)]
)
def test_pixels_that_are_not_scored_do_not_count(where: str, flux: float, ivar: float) -> None:
    coadd, exposures = made([0, 3, 0])
    bad = np.isin(np.arange(len(WAVE["r"])), [930, 960])  # beside the line, and in it
    spoilt = exposures if where == "exposures" else coadd
    band = spoilt.bands["r"]
    bands = dict(spoilt.bands)
    bands["r"] = Band(
        np.where(bad, np.float32(flux), band.flux), np.where(bad, np.float32(ivar), band.ivar)
    )
    if where == "coadd":
        coadd = replace(coadd, bands=bands)
    else:
        exposures = replace(exposures, bands=bands)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = repeats_of(LINE, coadd, exposures)
    assert (found.verdict, found.expid) == ("one exposure", 101)
    assert len(found.amplitudes) == 3
