"""The summary counts the rows of the tables, in files for people and for programs."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from outcrop import InputError, Status, eligible, write_scores
from outcrop.inputs import Inputs, NoiseCards
from outcrop.night.summary import Summary
from tests.outcrop_sdk.sample import (
    explained_flags,
    fibermap,
    some_model,
    some_scores,
    some_spectra,
    write,
)

LONG = 39633345008634465


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    """A petal of ten spectra that was scored, one that failed and one that is waiting.

    Of the ten the last two are a target outside the population and sky; the target bits of the
    first two are unknown. `some_scores` flags every third TARGETID.
    """
    made = Summary(tmp_path, some_model(), now=1)
    spectra = some_spectra(10, LONG)
    coadd = write(tmp_path / "a" / "coadd-1.fits", [fibermap(spectra.targetid.tolist())])
    status = np.array([0] * 8 + [Status.OUT_OF_POPULATION, Status.NOT_TARGET], np.int32)
    bits = np.array([-1, -1, *[1 << 60] * 6, 1 << 61, -1])
    spectra = dataclasses.replace(spectra, desi_target=bits)
    scores = dataclasses.replace(some_scores(spectra), status=status)
    assert np.flatnonzero(scores.anomaly).tolist() == [0, 3, 6, 9]

    write_scores(tmp_path / "o.fits", spectra, scores, some_model())
    made.scored(coadd, tmp_path / "o.fits")
    made.failed(tmp_path / "coadd-2.fits", 'it says "no", twice,\nand more')
    made.waiting(tmp_path / "coadd-3.fits")
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "out").mkdir()


def read(tmp_path: Path, name: str) -> Any:
    return Table.read(tmp_path / "out" / name)


def test_every_petal_has_its_row(summary: Summary, tmp_path: Path) -> None:
    summary.write(tmp_path / "out")
    table = read(tmp_path, "summary.ecsv")
    assert table["COADD"].tolist() == ["a/coadd-1.fits", "coadd-2.fits", "coadd-3.fits"]
    assert table["STATE"].tolist() == ["scored", "failed", "waiting"]
    assert table["ROWS"].tolist() == [10, 0, 0]
    assert table["ELIGIBLE"].tolist() == [8, 0, 0]
    assert table["FLAGGED"].tolist() == [3, 0, 0]
    assert table["OUTSIDE"].tolist() == [1, 0, 0]
    assert table["UNKNOWN"].tolist() == [2, 0, 0]
    assert table["DISCOVERIES"].tolist() == [6, 0, 0]
    assert table["SET_APART"].mask.all()
    assert table["ERROR"][1] == 'it says "no", twice,\nand more'


def test_the_header_has_the_totals_and_the_model(summary: Summary, tmp_path: Path) -> None:
    summary.write(tmp_path / "out")
    expected = {
        **{"petals": 3, "scored": 1, "failed": 1, "waiting": 1, "unpaired": 0},
        "root": str(summary.root),
        **{"rows": 10, "eligible": 8, "flagged": 3, "outside": 1, "unknown": 2},
        # p_value is near 0 for all but the one or two TARGETIDs that 5 divides.
        **{"discoveries": 6, "tested": 6, "set_apart": 0, "q_level": 0.1, "FDR_BASIS": "tail"},
        "causes": {},
        **{"model": "outcrop", "version": "20260101", "sha256": "ab" * 32},
        **{"sample": "desi edr", "population": "BGS", "p_level": 0.01, "finest_p": 1e-4},
    }
    assert dict(read(tmp_path, "summary.ecsv").meta) == expected
    selection = {"selection": "flagged; one spectrum of each target, at most 100"}
    assert dict(read(tmp_path, "toplist.ecsv").meta) == expected | selection


def test_each_petal_has_its_noise(tmp_path: Path) -> None:
    made = Summary(tmp_path, some_model(), now=0)
    measured = [(1.25, 40, True), (1.0, 9, False), (5.0, 30, False), None]
    for number, noise in enumerate(measured):
        spectra = some_spectra(10, LONG)
        if noise is not None:
            variance, fibers, corrected = noise
            cards: NoiseCards = {
                **{"NOISE_B": variance, "NOISE_R": 1.0, "NOISE_Z": 1.0},
                **{"NSKY": fibers, "SKYCORR": corrected},
            }
            spectra = dataclasses.replace(spectra, inputs=Inputs(noise=cards))
        table = tmp_path / f"o-{number}.fits"
        write_scores(table, spectra, some_scores(spectra), some_model())
        name = tmp_path / "a" / f"coadd-{number}.fits"
        made.scored(write(name, [fibermap(spectra.targetid.tolist())]), table)

    text = made.write(tmp_path / "out")
    expected = "noise corrected in 1 of 3 petals; 1 have fewer than 10 sky fibers; "
    assert f"{expected}1 have an implausible variance or offset\n" in text
    written = read(tmp_path, "summary.ecsv")
    assert written["NOISE_B"].tolist() == pytest.approx([1.25, 1.0, 5.0, np.nan], nan_ok=True)
    assert written["NSKY"].tolist() == [40, 9, 30, 0]
    assert written["SKYCORR"].tolist() == [True, False, False, False]


def test_targetids_keep_all_their_digits(summary: Summary, tmp_path: Path) -> None:
    summary.write(tmp_path / "out")
    listed = read(tmp_path, "toplist.ecsv")["TARGETID"]
    assert listed.dtype == "int64"
    assert set(listed.tolist()) == {LONG + row for row in (0, 3, 6) if (LONG + row) % 5}
    lines = (tmp_path / "out" / "targets.txt").read_text().splitlines()
    assert [int(line) for line in lines] == listed.tolist()


def test_the_text_has_the_totals_the_top_list_and_the_files(
    summary: Summary, tmp_path: Path
) -> None:
    text = summary.write(tmp_path / "out")
    assert text.startswith(
        "3 petals: 1 scored, 1 of them now; 1 failed, 1 waiting\n"
        "10 spectra, 8 eligible, 3 anomalies (p < 0.01; 0.08 expected by chance)\n"
        "6 discoveries (q <= 0.1), which rest on the extrapolated tail of the calibration sample\n"
        "most in one petal: 3 of 8, a/coadd-1.fits\n"
        "model outcrop 20260101, sample desi edr, population BGS (1 outside, 2 unknown)\n"
    )
    assert str(LONG + 6) in text
    for name in ("summary.ecsv", "toplist.ecsv", "targets.txt"):
        assert str(tmp_path / "out" / name) in text


def test_a_night_without_a_table_has_its_files_too(tmp_path: Path) -> None:
    empty = Summary(tmp_path, some_model(), now=0)
    empty.waiting(tmp_path / "coadd-1.fits")
    assert "0 spectra, 0 eligible" in empty.write(tmp_path / "out")
    assert len(read(tmp_path, "summary.ecsv")) == 1
    assert len(read(tmp_path, "toplist.ecsv")) == 0
    assert (tmp_path / "out" / "targets.txt").read_text() == ""


def test_a_table_that_cannot_be_read_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "o.fits").write_text("hello")
    made = Summary(tmp_path, some_model(), now=0)
    with pytest.raises(InputError, match=r"o\.fits is not a FITS file"):
        made.scored(tmp_path / "coadd-1.fits", tmp_path / "o.fits")
    assert made.totals()["petals"] == 0


def add_petal(
    summary: Summary,
    number: int,
    p_value: NDArray[np.float64],
    noise: dict[str, float] | None = None,
) -> None:
    """Add the table of a petal of one tile, whose fibers are those of its number."""
    rows = np.arange(len(p_value))
    spectra = dataclasses.replace(
        some_spectra(len(rows), 1 + 500 * number),
        status=np.zeros(len(rows), np.int32),
        fiber=(500 * number + rows).astype(np.int32),
    )
    scores = dataclasses.replace(some_scores(spectra), p_value=p_value, anomaly=p_value < 0.01)
    coadd = write(summary.root / f"coadd-{number}.fits", [fibermap(spectra.targetid.tolist())])
    table = summary.root / f"outliers-{number}.fits"
    write_scores(table, spectra, scores, some_model())
    for camera, value in (noise or {}).items():
        fits.setval(table, f"NOISE_{camera.upper()}", value=value)
    summary.scored(coadd, table)


def test_faulty_petals_and_bundles_are_named_and_set_apart(tmp_path: Path) -> None:
    p_value = np.random.default_rng(1).uniform(0.01, 1, (6, 100))
    p_value[:, 0] = 1e-9
    p_value[1, ::3] = 1e-12
    p_value[2, 25:45] = 1e-12
    made = Summary(tmp_path, some_model(), now=4)
    for number, values in enumerate(p_value):
        add_petal(made, number, values, {"b": 1.6, "r": 1.02} if number == 3 else None)
    text = made.write(tmp_path / "out")

    petals, listed = (read(tmp_path, f"{name}.ecsv") for name in ("summary", "toplist"))
    assert petals["FLAGGED"].tolist() == [1, 34, 21, 1, 1, 1]
    assert petals["DISCOVERIES"].tolist() == [1, 0, 1, 0, 1, 1]
    assert petals["SET_APART"].filled("").tolist() == [
        "",
        "34 of 100 flagged, usual are 1 %",
        "fibers 1025-1049: 20 of 25 flagged",
        "noise variance over the reported: 1.6 in b",
        "",
        "",
    ]
    assert petals.meta["tested"] == 600 - 225
    assert petals.meta["set_apart"] == 225
    assert "\nset apart: 225 spectra of 3 petals" in text

    # The objects come first although the faults have the smaller p-values.
    assert listed["TARGETID"][:4].tolist() == [1, 1001, 2001, 2501]
    assert listed["Q_VALUE"][:4].tolist() == pytest.approx([375 * 1e-9 / 4] * 4)
    assert np.isnan(listed["Q_VALUE"][4:]).all()
    assert len(listed) == 4 + 34 + 20 + 1


def test_causes_are_counted_and_petals_with_mostly_an_instrumental_one_are_named(
    tmp_path: Path,
) -> None:
    made = Summary(tmp_path, some_model(), now=1)
    # Every third spectrum is flagged.
    for number, (rows, cause) in enumerate(
        [(18, "sky_residual"), (18, "rare"), (12, "cosmic_ray")]
    ):
        spectra = some_spectra(rows, LONG)
        coadd = write(tmp_path / f"coadd-{number}.fits", [fibermap(spectra.targetid.tolist())])
        table = tmp_path / f"o-{number}.fits"
        scores = some_scores(spectra)
        explained = explained_flags(scores, cause)
        write_scores(table, spectra, scores, some_model(), explanations=explained)
        made.scored(coadd, table)

    text = made.write(tmp_path / "out")
    assert (
        "\n  sky_residual             6    38%\n  rare                     6    38%\n"
        "  cosmic_ray               4    25%\n"
        "mostly instrumental: sky_residual in 6 of 6, coadd-0.fits\n"
    ) in text
    petals = read(tmp_path, "summary.ecsv")
    assert petals["EXPLAINED"].tolist() == [6, 6, 4]
    assert petals["CAUSES"].tolist() == ["6 sky_residual", "6 rare", "4 cosmic_ray"]
    assert petals["INSTRUMENTAL"].filled("").tolist() == ["sky_residual in 6 of 6", "", ""]
    assert petals.meta["causes"] == {"sky_residual": 6, "rare": 6, "cosmic_ray": 4}


def test_segments_of_one_fiber_are_reported_as_the_instruments(tmp_path: Path) -> None:
    made, fiber = Summary(tmp_path, some_model(), now=1), -1
    # Of each of 8 petals the same third fiber is flagged, and explained by the same segments.
    for number in range(8):
        spectra = dataclasses.replace(some_spectra(300, LONG), fiber=np.arange(300, dtype=np.int32))
        coadd = write(tmp_path / f"coadd-{number}.fits", [fibermap(spectra.targetid.tolist())])
        scores = some_scores(spectra)
        fiber = int(np.flatnonzero(eligible(scores.status, scores.snr))[2])
        scores = dataclasses.replace(scores, anomaly=np.arange(300) == fiber)
        table = tmp_path / f"o-{number}.fits"
        explained = explained_flags(scores)
        write_scores(table, spectra, scores, some_model(), explanations=explained)
        made.scored(coadd, table)

    text = made.write(tmp_path / "out")
    assert "instrument: segments of 8 spectra gather in 1 of its parts" in text
    assert f"  fiber {fiber}: 8 spectra have a segment" in text
    found = read(tmp_path, "instrument.ecsv")
    assert found["FIBER"].tolist() == [fiber]
    assert found["SENTENCE"][0].startswith(f"fiber {fiber}: 8 spectra")
    assert found.meta["sha256"] == some_model().sha256
    assert (tmp_path / "out" / "instrument.png").read_bytes().startswith(b"\x89PNG")


def test_a_night_that_is_not_explained_any_more_leaves_no_report(
    summary: Summary, tmp_path: Path
) -> None:
    for name in ("instrument.ecsv", "instrument.png"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).touch()
    assert "instrument" not in summary.write(tmp_path / "out")
    assert not list((tmp_path / "out").glob("instrument*"))


def test_a_summary_that_is_written_again_is_the_same(summary: Summary, tmp_path: Path) -> None:
    text = summary.write(tmp_path / "out")
    written = (tmp_path / "out" / "toplist.ecsv").read_bytes()
    assert summary.write(tmp_path / "out") == text
    assert (tmp_path / "out" / "toplist.ecsv").read_bytes() == written
