"""The night: all tables of a folder in the order of p-values."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from outcrop import CAUSES, InputError
from outcrop.night.discoveries import q_values
from review.night import CAUSE_NAMES, ReviewNight
from tests.review.conftest import LARGEST

PETALS = 24


@contextmanager
def outliers_of(path: Path) -> Iterator[Any]:
    """Open the HDU OUTLIERS of a table, to change it."""
    with fits.open(path, mode="update") as file:
        yield file["OUTLIERS"]


def table_of(made: Path) -> Path:
    return next((made / "night").rglob("outliers*.fits"))


def test_rows_are_in_the_order_of_p_values(made: Path, night: ReviewNight) -> None:
    table = Table.read(table_of(made), hdu="OUTLIERS")
    p_value = night.columns["p_value"]
    known = np.isfinite(p_value)
    assert len(night) == len(table)
    assert known[: known.sum()].all()
    assert (np.diff(p_value[known]) >= 0).all()

    rows = night.table_row
    np.testing.assert_array_equal(table["TARGETID"][rows], night.columns["targetid"])
    np.testing.assert_array_equal(table["LATENT"][rows], night.latent)
    causes = np.array(CAUSE_NAMES)[night.columns["cause"]]
    # astropy masks empty strings.
    assert causes.tolist() == np.ma.filled(table["CAUSE"], "")[rows].tolist()
    assert LARGEST in night.columns["targetid"][:3]


def test_a_table_that_is_written_anew_is_another_night(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "outliers-0.fits"
    shutil.copy(table_of(made), path)
    night, same = (ReviewNight.read(tmp_path) for _ in range(2))
    assert night.identity == same.identity
    with outliers_of(path) as hdu:
        hdu.data["P_VALUE"] *= 0.5
    assert ReviewNight.read(tmp_path).identity != night.identity
    with pytest.raises(InputError, match="was written anew since the review began"):
        night.tables[0].details(0)


def test_q_values_are_those_of_the_eligible(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "outliers-0.fits"
    shutil.copy(table_of(made), path)
    with outliers_of(path) as hdu:
        # Nothing that is flagged, and so no petal that is set apart for it.
        hdu.data["ANOMALY"] = False
    night = ReviewNight.read(tmp_path)
    q_value, p_value = night.columns["q_value"], night.columns["p_value"]
    assert np.isfinite(q_value).sum() > 300
    np.testing.assert_array_equal(np.isfinite(q_value), np.isfinite(p_value))
    np.testing.assert_array_equal(q_value, q_values(p_value))


def test_a_whole_night_is_read(made: Path, night: ReviewNight, tmp_path: Path) -> None:
    for petal in range(PETALS):
        path = tmp_path / f"outliers-{petal}.fits"
        shutil.copy(table_of(made), path)
        with outliers_of(path) as hdu:
            hdu.data["P_VALUE"] *= 1 - petal / (2 * PETALS)
    found = ReviewNight.read(tmp_path)
    assert len(found) == PETALS * len(night)
    known = found.columns["p_value"][np.isfinite(found.columns["p_value"])]
    assert (np.diff(known) >= 0).all()
    assert sorted(set(found.table.tolist())) == list(range(PETALS))

    row, cause, probability = found.cause_rows()
    assert set(cause.tolist()) <= set(CAUSES)
    by_row = np.zeros(len(found))
    np.add.at(by_row, row, probability)
    explained = found.columns["cause"] > 0
    assert explained.any()
    np.testing.assert_allclose(by_row[explained], 1)
    assert not by_row[~explained].any()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_table_that_is_cut_off_is_refused(made: Path, tmp_path: Path, share: float) -> None:
    content = table_of(made).read_bytes()
    (tmp_path / "outliers-0.fits").write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"outliers-0\.fits"):
        ReviewNight.read(tmp_path)


def test_a_column_of_another_format_is_refused(made: Path, tmp_path: Path) -> None:
    content = table_of(made).read_bytes()
    damaged = content.replace(b"TFORM3  = 'K ", b"TFORM3  = 'X ", 1)
    assert damaged != content
    (tmp_path / "outliers-0.fits").write_bytes(damaged)
    with pytest.raises(
        InputError, match="OUTLIERS cannot be read: its columns do not fill its rows"
    ):
        ReviewNight.read(tmp_path)


def test_tables_of_two_models_are_refused(made: Path, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copy(table_of(made), tmp_path / f"outliers-{number}.fits")
    with outliers_of(tmp_path / "outliers-1.fits") as hdu:
        hdu.header["MODELSHA"] = "ab" * 32
    with pytest.raises(InputError, match="of two models are not compared; run outcrop night again"):
        ReviewNight.read(tmp_path)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no score table"):
        ReviewNight.read(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        ReviewNight.read(tmp_path / "absent")


def test_a_table_without_explanations_is_read(made: Path, tmp_path: Path) -> None:
    with fits.open(table_of(made)) as file:
        outliers: Any = file["OUTLIERS"]
        for name in ("CAUSE", "CAUSE_PROB", "P_EXPLAINED", "Z_BEST", "P_BEST", "SENTENCE"):
            outliers.columns.del_col(name)
        fits.HDUList([file[0], outliers]).writeto(tmp_path / "outliers-0.fits")
    found = ReviewNight.read(tmp_path)
    assert not found.columns["cause"].any()
    assert found.tables[0].details(0) == {"sentence": "", "evidence": [], "segments": []}
    assert len(found.cause_rows()[0]) == 0
