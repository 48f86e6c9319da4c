"""The instrument report finds injected faults by name, and none where there is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy.stats import binom, poisson

from outcrop.night.instrument import (
    InstrumentReport,
    NightSegments,
    _number_of,  # pyright: ignore[reportPrivateUsage]
    _poisson_tail,  # pyright: ignore[reportPrivateUsage]
    wave_of,
)

FIBERS = 440
"""Eligible ones of a petal's 500."""
LINES = np.array([3728.0, 3970.0, 4863.0, 5008.0, 5177.0, 5896.0, 6565.0, 6725.0])


def clean_night(seed: int, tiles: int = 8, share: float = 0.012) -> NightSegments:
    """Make a night of ten petals a tile, in some of which far more is flagged than in others.

    Segments lie at lines of the rest frame, more often at some than at others, or anywhere. Some
    are as wide as a camera.
    """
    rng = np.random.default_rng(seed)
    tile = np.repeat(np.arange(tiles), 10 * FIBERS)
    petal = np.tile(np.repeat(np.arange(10), FIBERS), tiles)
    within = np.concatenate([rng.permutation(500)[:FIBERS] for _ in range(10 * tiles)])
    count = len(tile)
    z = rng.gamma(4.0, 0.04, count) % 0.3
    star = rng.random(count) < 0.1
    z[star] = rng.normal(0, 1e-4, star.sum())

    flagged_share = share * rng.gamma(2.0, 0.5, 10 * tiles).repeat(FIBERS)
    flagged = np.flatnonzero(rng.random(count) < flagged_share)
    row = np.repeat(flagged, rng.integers(1, 5, len(flagged)))
    kind = rng.random(len(row))
    middle = rng.uniform(3600, 7556, len(row))
    on_line = kind < 0.6
    middle[on_line] = rng.choice(LINES, on_line.sum(), p=np.arange(1, 9) / 36)
    middle *= 1 + z[row]
    width = np.exp(rng.uniform(np.log(5), np.log(150), len(row)))
    first, last = middle - width / 2, middle + width / 2
    wide = kind > 0.9
    first[wide], last[wide] = 3600.0, 5780.0
    seen = (first >= 3600) & (last <= 9824)
    return NightSegments(
        tile, petal, petal * 500 + within, z, ~star, row[seen], first[seen], last[seen]
    )


def with_segments(
    night: NightSegments, rows: np.ndarray, first: float, last: float
) -> NightSegments:
    """Add the same segment to some spectra, with edges that are a few Å off."""
    rng = np.random.default_rng(3)
    ends = rng.normal(0, 3, (2, len(rows)))
    return replace(
        night,
        row=np.concatenate([night.row, rows]),
        first=np.concatenate([night.first, first + ends[0]]),
        last=np.concatenate([night.last, last + ends[1]]),
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_night_without_faults_has_none(seed: int) -> None:
    assert not InstrumentReport.of(clean_night(seed)).outstanding


@pytest.mark.parametrize("tiles", [1, 8])
def test_a_trough_at_one_observed_wavelength_is_found(tiles: int) -> None:
    night = clean_night(20, tiles)
    rows = np.random.default_rng(1).choice(np.flatnonzero(night.at_rest), 30, replace=False)
    found = InstrumentReport.of(with_segments(night, rows, 6300.0, 6330.0)).outstanding
    assert [one.kind for one in found] == ["wavelength"]
    assert found[0].wave == pytest.approx((6300.0, 6330.0), abs=12)
    assert 25 <= found[0].number <= 40
    assert found[0].expected < 10
    assert found[0].significance > 6
    assert found[0].sentence.endswith("σ)")
    assert "Å observed: " in found[0].sentence


def test_the_same_line_at_many_redshifts_is_not_of_the_instrument() -> None:
    night = clean_night(21)
    rows = np.random.default_rng(1).choice(np.flatnonzero(night.at_rest), 200, replace=False)
    middle = 6565 * (1 + night.z[rows])
    more = replace(
        night,
        row=np.concatenate([night.row, rows]),
        first=np.concatenate([night.first, middle - 8]),
        last=np.concatenate([night.last, middle + 8]),
    )
    assert not InstrumentReport.of(more).outstanding


def test_lines_of_stars_are_not_of_the_instrument() -> None:
    night = clean_night(22)
    rows = np.random.default_rng(1).choice(np.flatnonzero(~night.at_rest), 60, replace=False)
    assert not InstrumentReport.of(with_segments(night, rows, 6555.0, 6575.0)).outstanding


def test_a_broken_fiber_is_found() -> None:
    night = clean_night(23)
    broken = np.bincount(night.fiber).argmax()
    rows = np.flatnonzero(night.fiber == broken)
    rng = np.random.default_rng(2)
    middle = rng.uniform(4000, 9000, len(rows))
    more = replace(
        night,
        row=np.concatenate([night.row, rows]),
        first=np.concatenate([night.first, middle - 20]),
        last=np.concatenate([night.last, middle + 20]),
    )
    found = InstrumentReport.of(more).outstanding
    assert [(one.kind, one.fiber, one.number) for one in found] == [("fiber", broken, len(rows))]
    assert found[0].sentence.startswith(f"fiber {broken}: {len(rows)} spectra have a segment, 0.")


def test_a_camera_of_a_petal_is_found() -> None:
    night = clean_night(24)
    rng = np.random.default_rng(4)
    rows = np.flatnonzero((night.petal == 3) & (rng.random(len(night.z)) < 0.05))
    middle = rng.uniform(7700, 9700, len(rows))
    more = replace(
        night,
        row=np.concatenate([night.row, rows]),
        first=np.concatenate([night.first, middle - 20]),
        last=np.concatenate([night.last, middle + 20]),
    )
    found = InstrumentReport.of(more).outstanding
    assert [(one.kind, one.petal, one.camera) for one in found] == [("petal_camera", 3, "z")]
    assert found[0].name == "petal 3, camera z"


def test_one_exposure_with_many_segments_is_no_fault_of_its_petal() -> None:
    night = clean_night(25)
    rows = np.flatnonzero((night.petal == 3) & (night.tile == 2))
    rng = np.random.default_rng(4)
    middle = rng.uniform(7700, 9700, len(rows))
    more = replace(
        night,
        row=np.concatenate([night.row, rows]),
        first=np.concatenate([night.first, middle - 20]),
        last=np.concatenate([night.last, middle + 20]),
    )
    assert not [one for one in InstrumentReport.of(more).outstanding if one.kind == "petal_camera"]


def test_expected_counts_are_those_of_shuffles() -> None:
    night = clean_night(26)
    report = InstrumentReport.of(night)
    for tested in (report.fibers, report.wavelengths):
        assert tested.expected.sum() == pytest.approx(tested.number.sum(), rel=1e-6)

    # One segment of 20 Å at rest in one of two spectra: half of it is expected at the other's z.
    two = NightSegments(
        *(np.full(2, value) for value in (1, 1, 7)),
        z=np.array([0.0, 0.2]),
        at_rest=np.ones(2, np.bool_),
        row=np.array([0, 1]),
        first=np.array([5000.0, 8000.0]),
        last=np.array([5020.0, 8020.0]),
    )
    tested = InstrumentReport.of(two).wavelengths
    at = [int(np.searchsorted(wave_of(np.arange(len(tested.number))), wave) - 1)
          for wave in (5010, 6012, 8010, 8010 / 1.2)]  # fmt: skip
    assert tested.number[at].tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(tested.expected[at], 0.5)


def test_a_night_without_segments_has_no_places() -> None:
    night = clean_night(27)
    none = replace(night, row=night.row[:0], first=night.first[:0], last=night.last[:0])
    report = InstrumentReport.of(none)
    assert report.spectra == 0
    assert not report.outstanding
    assert report.text == "instrument: segments of 0 spectra gather nowhere in it"


def test_petals_are_joined() -> None:
    night = clean_night(28, tiles=2)
    half = len(night.z) // 2
    parts = [
        NightSegments(
            night.tile[rows],
            night.petal[rows],
            night.fiber[rows],
            night.z[rows],
            night.at_rest[rows],
            row=night.row[kept] - rows.start,
            first=night.first[kept],
            last=night.last[kept],
        )
        for rows, kept in (
            (slice(0, half), night.row < half),
            (slice(half, len(night.z)), night.row >= half),
        )
    ]
    joined = NightSegments.concatenate(parts)
    for name in ("tile", "fiber", "z", "row", "first"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(night, name))


def test_a_score_table_holds_the_segments_of_its_eligible_spectra(tmp_path: Path) -> None:
    columns = {
        "TILEID": [5, 5, 5],
        "PETAL_LOC": [3, 3, 3],
        "FIBER": [1500, 1501, 1502],
        "Z": [0.1, 0.2, 0.0],
        "SPECTYPE": ["GALAXY", "GALAXY", "STAR"],
        "CAUSE": ["wrong_redshift", "", "sky_residual"],
        "STATUS": [0, 16, 0],
        "SNR": [9.0, 9.0, 9.0],
    }
    segments = {"ROW": [0, 1, 2, 2], "OBS_MIN": [1.0, 2, 3, 4], "OBS_MAX": [2.0, 3, 4, 5]}
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(Table(columns), name="OUTLIERS")]
    path = tmp_path / "outliers.fits"
    fits.HDUList(hdus).writeto(path)
    assert NightSegments.read(path) is None

    hdus.append(fits.BinTableHDU(Table(segments), name="SEGMENTS"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    found = NightSegments.read(path)
    assert found is not None
    assert found.fiber.tolist() == [1500, 1502]
    assert found.at_rest.tolist() == [False, False]
    assert found.row.tolist() == [0, 1, 1]
    assert found.first.tolist() == [1, 3, 4]


def test_the_table_names_each_place() -> None:
    night = clean_night(20)
    rows = np.random.default_rng(1).choice(np.flatnonzero(night.at_rest), 30, replace=False)
    night = with_segments(night, rows, 6300.0, 6330.0)
    table: Any = InstrumentReport.of(night).table()
    assert table.colnames == [
        *("KIND", "PETAL", "CAMERA", "FIBER", "WAVE_MIN", "WAVE_MAX", "NUMBER", "EXPECTED"),
        *("SIGNIFICANCE", "Q_VALUE", "SENTENCE"),
    ]
    assert table["KIND"].tolist() == ["wavelength"]
    assert str(table["WAVE_MIN"].unit) == "Angstrom"
    none: Any = InstrumentReport.of(clean_night(20)).table()
    assert len(none) == 0
    assert none.colnames == table.colnames


def test_tails_are_scipys() -> None:
    number, expected = np.array([3, 40, 7, 900]), np.array([0.01, 12.0, 9.0, 700.0])
    found = _poisson_tail(number, expected)
    np.testing.assert_allclose(found[[0, 1, 3]], poisson.sf(number - 1, expected)[[0, 1, 3]])
    assert found[2] == 1
    np.testing.assert_allclose(_number_of(np.full(6, 0.3)), binom.pmf(np.arange(7), 6, 0.3))
