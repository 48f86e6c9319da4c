"""The top list holds the most anomalous spectra of all tables, in order."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop import Scores, write_scores
from outcrop._constants import TOP
from outcrop.night.selection import Selection
from outcrop.night.tables import read_table
from outcrop.night.top_list import TopList
from tests.outcrop_sdk.sample import fibermap, some_model, some_scores, some_spectra, write

EVERY = Selection(max_p=1, every_spectrum=True)


def add(top: TopList, root: Path, name: str, scores: Scores) -> None:
    """Add the table of a coadd of these targets."""
    coadd = root / f"coadd-{name}.fits"
    write(coadd, [fibermap(scores.targetid.tolist())], NIGHT=20210324)
    add_table(top, coadd, scores)


def add_table(top: TopList, coadd: Path, scores: Scores) -> None:
    path = coadd.with_name(f"outliers-{coadd.name}")
    spectra = some_spectra(len(scores), int(scores.targetid[0]) if len(scores) else 1)
    write_scores(path, spectra, scores, some_model())
    add_columns(top, coadd, read_table(path), scores)


def add_rows(top: TopList, coadd: Path, scores: Scores, set_apart: bool = False) -> None:
    """Add scores as a table has them, without the table."""
    table = {name.upper(): column for name, column in scores.columns().items()}
    table |= {name: np.zeros(len(scores)) for name in ("Z", "ZWARN")}
    table["SPECTYPE"] = np.full(len(scores), "GALAXY")
    table |= {name: np.full(len(scores), "") for name in ("CAUSE", "SENTENCE")}
    table |= dict.fromkeys(("CAUSE_PROB", "P_EXPLAINED", "Z_BEST"), np.full(len(scores), np.nan))
    add_columns(top, coadd, table, scores, set_apart)


def add_columns(
    top: TopList, coadd: Path, table: dict[str, Any], scores: Scores, set_apart: bool = False
) -> None:
    chosen = top.selection.chosen(table, scores.eligible)
    columns = {name: column[chosen] for name, column in table.items()}
    columns["Q_VALUE"] = np.full(chosen.sum(), np.nan) if set_apart else columns["P_VALUE"] * 2
    top.add(coadd, columns, scores.targetid[scores.eligible])


def listed(top: TopList, root: Path) -> Any:
    """The list; astropy has no types for its columns."""
    return top.table(root)


def scored(n: int, first: int) -> Scores:
    """Scores with p_value 1 / (1 + TARGETID), but NaN where 5 divides it."""
    return dataclasses.replace(some_scores(some_spectra(n, first)), status=np.zeros(n, np.int32))


def test_the_most_anomalous_of_all_tables_come_first(tmp_path: Path) -> None:
    top = TopList(EVERY)
    add(top, tmp_path, "1", scored(90, 1))
    add(top, tmp_path, "2", scored(90, 91))
    table = listed(top, tmp_path)
    expected = [one for one in range(180, 0, -1) if one % 5][:TOP]
    assert table["TARGETID"].tolist() == expected
    assert table["RANK"].tolist() == list(range(1, TOP + 1))
    assert sorted(table["P_VALUE"].tolist()) == table["P_VALUE"].tolist()
    assert table["COADD"][0] == "coadd-2.fits"
    assert top.targets().split() == [str(one) for one in expected]


def test_a_target_is_listed_once_with_its_most_anomalous_spectrum(tmp_path: Path) -> None:
    orders: list[list[str]] = []
    for names in (("1", "2"), ("2", "1")):
        folder = tmp_path / "".join(names)
        folder.mkdir()
        top = TopList(Selection(max_p=1, number=2))
        for name in names:
            scores = scored(3, 11)
            add(top, folder, name, dataclasses.replace(scores, p_value=scores.p_value / int(name)))
        table = listed(top, folder)
        assert table["TARGETID"].tolist() == [13, 12]
        assert table["NSPECTRA"].tolist() == [2, 2]
        orders.append(table["COADD"].tolist())
    assert orders == [["coadd-2.fits"] * 2] * 2


def test_a_list_of_distinct_targets_is_filled_although_one_repeats(tmp_path: Path) -> None:
    top = TopList(Selection(max_p=1, number=3))
    scores = scored(4, 11)
    repeated = dataclasses.replace(scores, targetid=np.array([14, 14, 14, 13]))
    add_table(top, tmp_path / "coadd-1.fits", scores)
    add_rows(top, tmp_path / "coadd-2.fits", repeated)
    assert [one.targetid for one in top.most_anomalous] == [14, 13, 12]


def test_what_is_set_apart_comes_after_all_others(tmp_path: Path) -> None:
    for names in (("1", "2"), ("2", "1")):
        top = TopList(Selection(max_p=1, number=2))
        for name in names:
            scores = scored(4, 11 if name == "1" else 13)
            scores = dataclasses.replace(scores, p_value=1 / scores.targetid)
            add_rows(top, tmp_path / f"coadd-{name}.fits", scores, set_apart=name == "2")
        table = listed(top, tmp_path)

        # 13 and 14 are in both petals: they are listed once, as they are in the good one.
        assert table["TARGETID"].tolist() == [14, 13, 16, 15]
        assert table["RANK"].tolist() == [1, 2, 3, 4]
        np.testing.assert_array_equal(table["Q_VALUE"], [2 / 14, 2 / 13, np.nan, np.nan])
        assert table["NSPECTRA"].tolist() == [2, 2, 1, 1]
        assert top.targets().split() == ["14", "13", "16", "15"]


def test_spectra_without_a_p_value_are_never_listed(tmp_path: Path) -> None:
    top = TopList(EVERY)
    add(top, tmp_path, "1", scored(10, 1))
    assert listed(top, tmp_path)["TARGETID"].tolist() == [9, 8, 7, 6, 4, 3, 2, 1]


def test_ineligible_spectra_are_never_listed_nor_counted(tmp_path: Path) -> None:
    top = TopList(EVERY)
    add(top, tmp_path, "1", scored(2, 1))
    ineligible = dataclasses.replace(scored(2, 1), snr=np.array([9, 0.5], np.float32))
    add(top, tmp_path, "2", ineligible)
    table = listed(top, tmp_path)
    assert table["TARGETID"].tolist() == [2, 1, 1]
    assert table["NSPECTRA"].tolist() == [1, 2, 2]


def test_the_order_of_the_tables_does_not_matter(tmp_path: Path) -> None:
    lists: list[list[int]] = []
    for names in (("1", "2"), ("2", "1")):
        folder = tmp_path / "".join(names)
        folder.mkdir()
        top = TopList(EVERY)
        for name in names:
            add(top, folder, name, scored(60, 1 if name == "1" else 61))
        lists.append(listed(top, folder)["TARGETID"].tolist())
    assert lists[0] == lists[1]


def test_scores_and_fiber_observations_are_those_of_the_spectrum(tmp_path: Path) -> None:
    top = TopList(EVERY)
    scores = scored(4, 11)
    add(top, tmp_path, "1", scores)
    row = listed(top, tmp_path)[0]
    assert row["TARGETID"] == 14
    assert (row["P_VALUE"], row["Q_VALUE"]) == (1 / 15, 2 / 15)
    assert row["WMSE"] == scores.wmse[3]
    assert (row["NOF"], row["SNR"], row["ANOMALY"]) == (-1, 9, False)
    assert (row["TILEID"], row["FIBER"], row["PETAL"], row["NIGHT"]) == (80613, 1003, 2, 20210324)
    assert (row["RA"], row["DEC"]) == (153.0, 5.0)
    assert "ra=153.000000&dec=5.000000" in row["VIEWER"]


def test_the_fiber_observations_of_a_missing_coadd_are_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    top = TopList(EVERY)
    add_table(top, tmp_path / "coadd-1.fits", scored(2, 1))
    with caplog.at_level(logging.WARNING):
        table = listed(top, tmp_path)
    assert "coadd-1.fits does not exist" in caplog.text
    assert table["TILEID"].tolist() == [-1, -1]
    assert table["TARGETID"].tolist() == [2, 1]


def test_no_tables_make_an_empty_list(tmp_path: Path) -> None:
    top = TopList(EVERY)
    assert len(listed(top, tmp_path)) == 0
    assert "TARGETID" in listed(top, tmp_path).colnames
    assert top.targets() == ""
