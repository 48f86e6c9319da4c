"""Tags name what lies at a segment, with the chance that it lies there by chance."""

import numpy as np
import pytest

from explanation.sky_lines import sky_brightness, sky_lines
from explanation.tags import tagged
from model_store.grid import RestGrid
from outcrop.explanations import Segment
from outcrop.spectra import CAMERAS, WAVE

GRID = RestGrid()
OBSERVED = WAVE["brz"]


def observed(z: float, first: float, last: float, sign: int = 1) -> Segment:
    return Segment((first / (1 + z), last / (1 + z)), (first, last), 10.0, sign, 0.5)


def tags(
    segment: Segment, z: float, flux: np.ndarray | None = None, ivar: np.ndarray | None = None
) -> dict[str, float]:
    """Return name and chance of a segment's tags; without flux, in a flat spectrum."""
    flux = np.ones(len(OBSERVED)) if flux is None else flux
    ivar = np.full(len(OBSERVED), 100.0) if ivar is None else ivar
    (found,) = tagged([segment], GRID, z, flux.astype(np.float32), ivar.astype(np.float32))
    assert (found.rest, found.observed) == (segment.rest, segment.observed)
    return {tag.name: tag.chance for tag in found.tags}


def test_the_sky_has_its_known_lines_in_the_earth_frame() -> None:
    """O I, Na I and a few of desispec's lines of OH; vacuum wavelengths of NIST."""
    wave, brightness = sky_lines()
    assert np.all(np.diff(wave) > 0)
    assert np.all(brightness > 0)
    for known in (5578.887, 6302.046, 6365.536, 5891.583, 5897.558):
        assert np.abs(wave - known).min() < 0.25
    for known in (7278.4, 7343.4, 7752.4, 7966.4, 8401.4, 8887.9, 9378.4):
        assert np.abs(wave - known).min() < 1.2
    blue = wave < 6500
    assert wave[blue][brightness[blue].argmax()] == pytest.approx(5578.9, abs=0.3)


def test_sky_brightness_is_the_sum_within_the_tolerance() -> None:
    wave, brightness = sky_lines()
    first, last = (
        np.array([5570.0, 7000.0, 4500.0, 5580.5]),
        np.array([5575.0, 7400.0, 4510.0, 5583]),
    )
    expected = [
        brightness[(wave >= a - 1) & (wave <= b + 1)].sum()
        for a, b in zip(first, last, strict=True)
    ]
    np.testing.assert_allclose(sky_brightness(first, last), expected, rtol=1e-9, atol=1e-9)
    assert sky_brightness(np.array([5576.0]), np.array([5577.95]))[0] > 10
    assert sky_brightness(np.array([5570.0]), np.array([5577.0]))[0] == 0


def test_a_line_at_the_redshift_is_named() -> None:
    z = 0.1
    found = tags(observed(z, 6560 * 1.1, 6572 * 1.1), z)
    assert 0 < found["Hα"] < 0.15
    assert tags(observed(z, 6452 * 1.1, 6460 * 1.1), z).keys() <= {"sky line"}


def test_what_a_segment_would_have_anywhere_is_no_tag() -> None:
    assert not tags(observed(0.1, 4600, 6900), 0.1)


def test_the_brightest_place_has_a_chance_all_the_same() -> None:
    assert 0 < tags(observed(0.05, 5575.3, 5582.1), 0.05)["sky line"] < 0.01


def test_absorption_lines_are_named_only_below_the_continuum() -> None:
    z = 0.05
    for sign, named in ((-1, True), (1, False)):
        segment = observed(z, 5170 * 1.05, 5184 * 1.05, sign)
        assert ("Mg b" in tags(segment, z)) == named


def test_the_chance_of_a_line_is_the_share_of_places_with_one() -> None:
    """A narrow segment has about the lines' density times their width; a wide one has all."""
    z = 0.0
    narrow = tags(observed(z, 5004.0, 5012.0), z)["[O III] 5008"]
    lines = [3728.5, 3869.86, 3890.16, 3971.2, 4102.9, 4341.7, 4364.4, 4472.7, 4687.0, 4862.7]
    lines += [4960.3, 5008.24, 5756.2]
    assert narrow == pytest.approx(len(lines) * 8 / (5780 - 3600), rel=0.15)
    assert tags(observed(z, 4000, 5500), z)["He II 4687"] > 3 * narrow


def test_a_sky_line_is_weighted_by_its_brightness() -> None:
    z = 0.2
    bright = tags(observed(z, 5575.0, 5582.0), z)["sky line"]
    assert bright < 0.01
    faint = tags(observed(z, 8700.0, 8710.0), z).get("sky line", 1.0)
    assert faint > 0.3
    assert "sky line" not in tags(observed(z, 4600.0, 4610.0), z)


@pytest.mark.parametrize(
    ("first", "last", "joined"),
    [
        (5750, 5765, True),
        (5790, 5840, True),
        (5700, 5750, False),
        (7515, 7530, True),
        (7625, 7640, False),
    ],
)
def test_camera_joins_are_tagged(first: float, last: float, joined: bool) -> None:
    found = tags(observed(0.15, first, last), 0.15)
    assert ("camera join" in found) == joined
    if joined:
        assert 0 < found["camera join"] < 0.15


def test_a_whole_camera_is_tagged() -> None:
    z = 0.1
    found = tags(observed(z, 3970, 5770, -1), z)
    assert found["camera b"] < 0.4
    assert "camera r" not in found
    assert tags(observed(z, 5850, 7500), z).keys() >= {"camera r"}
    assert not any(
        name.startswith("camera ") and name[-1] in CAMERAS
        for name in tags(observed(z, 4200, 4600), z)
    )
    # Most of the spectrum is not one camera.
    assert not tags(observed(z, 3970, 8300), z).keys() & {"camera b", "camera r", "camera z"}


def spike(pixels: int, height: float) -> np.ndarray:
    flux = np.ones(len(OBSERVED))
    flux[2000 : 2000 + pixels] += height
    return flux


@pytest.mark.parametrize("height", [30.0, -30.0])
@pytest.mark.parametrize(("pixels", "lone"), [(1, True), (2, True), (3, False), (5, False)])
def test_one_or_two_pixels_alone_are_tagged(pixels: int, lone: bool, height: float) -> None:
    z, middle = 0.1, OBSERVED[2000]
    segment = observed(z, middle - 4, middle + 5, int(np.sign(height)))
    found = tags(segment, z, spike(pixels, height))
    assert ("single pixel" in found) == lone
    if lone:
        assert found["single pixel"] == pytest.approx(9 / (5780 - 3960), rel=0.5)


def test_the_chance_of_a_single_pixel_counts_those_of_its_sign() -> None:
    z, middle = 0.1, OBSERVED[2000]
    alone = spike(1, 30)
    between = alone.copy()
    between[1000:2600:100] -= 30
    between[2000] = alone[2000]
    segment = observed(z, middle - 4, middle + 5)
    assert tags(segment, z, between)["single pixel"] == tags(segment, z, alone)["single pixel"]


def test_a_line_as_wide_as_the_resolution_is_no_single_pixel() -> None:
    """FWHM 1.8 Å, whatever its place among the pixels."""
    for offset in np.linspace(0, 0.8, 9):
        flux = 1 + 30 * np.exp(-0.5 * ((OBSERVED - 5200 - offset) / 0.76) ** 2)
        assert "single pixel" not in tags(observed(0.1, 5196, 5205), 0.1, flux)


def test_a_single_pixel_elsewhere_or_of_another_sign_or_in_a_wide_segment_is_no_tag() -> None:
    z, middle = 0.1, OBSERVED[2000]
    assert "single pixel" not in tags(observed(z, middle + 20, middle + 28), z, spike(1, 30))
    assert "single pixel" not in tags(observed(z, middle - 4, middle + 5, -1), z, spike(1, 30))
    assert "single pixel" not in tags(observed(z, middle - 40, middle + 40), z, spike(1, 30))


def test_bad_pixels_are_no_single_pixels() -> None:
    ivar = np.full(len(OBSERVED), 100.0)
    ivar[2000] = 0
    segment = observed(0.1, OBSERVED[2000] - 4, OBSERVED[2000] + 5)
    assert "single pixel" not in tags(segment, 0.1, spike(1, 30), ivar)


def test_no_segments_have_no_tags() -> None:
    one = np.ones(len(OBSERVED), np.float32)
    assert tagged([], GRID, 0.1, one, one) == ()


def test_no_tag_is_impossible_by_chance() -> None:
    """A segment itself has its tags, also where no copy of it at a step of a pixel has them."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        z, first, width = rng.uniform(0, 0.3), rng.uniform(4700, 9000), 10 ** rng.uniform(0, 2.5)
        assert all(tags(observed(z, first, first + width), z).values())


def test_chances_are_right_for_segments_anywhere() -> None:
    """Of segments at random places, a share c has a sky tag with a chance below c."""
    rng = np.random.default_rng(1)
    z, first = 0.2, rng.uniform(7600, 9000, 300)
    chances = [tags(observed(z, one, one + 5), z).get("sky line", 1.0) for one in first]
    for share in (0.1, 0.3):
        assert np.mean(np.array(chances) <= share) == pytest.approx(share, abs=0.08)
