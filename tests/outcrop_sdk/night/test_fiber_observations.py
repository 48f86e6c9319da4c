"""A target's observations are all its fibers and nights, once each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop import InputError
from outcrop.night.fiber_observations import FiberObservation, read_fiber_observations
from tests.outcrop_sdk.sample import fibermap, table, write

IDS = [39633345008634465, 12, -7008279]
IN_EXPOSURES = ("TILEID", "FIBER", "PETAL_LOC")


def observations(path: Path, *targetids: int) -> dict[int, list[FiberObservation]]:
    return read_fiber_observations(path, np.array(targetids, np.int64))


def exposures(*rows: tuple[int, int, int, int, int]) -> Any:
    names = ("TARGETID", "TILEID", "FIBER", "PETAL_LOC", "NIGHT")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return table("EXP_FIBERMAP", **{name: ("K", values) for name, values in columns})


def test_a_tiles_target_has_its_fiber_and_the_night_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap(IDS)], NIGHT=20210324)
    assert observations(path, IDS[2], IDS[0]) == {
        IDS[0]: [FiberObservation(150.0, 2.0, tileid=80613, fiber=1000, petal=2, night=20210324)],
        IDS[2]: [FiberObservation(152.0, 4.0, tileid=80613, fiber=1002, petal=2, night=20210324)],
    }


def test_a_healpixels_target_has_every_combination_once_by_night(tmp_path: Path) -> None:
    rows = [
        (12, 300, 5, 0, 20210402),
        (12, 300, 5, 0, 20210402),
        (12, 301, 7, 1, 20210401),
        (12, 300, 5, 0, 20210401),
        (IDS[0], 302, 9, 1, 20210403),
    ]
    hdus = [fibermap(IDS, without=IN_EXPOSURES), exposures(*rows)]
    path = write(tmp_path / "coadd.fits", hdus)
    found = observations(path, 12)[12]
    assert [(one.night, one.tileid, one.fiber, one.petal) for one in found] == [
        (20210401, 300, 5, 0),
        (20210401, 301, 7, 1),
        (20210402, 300, 5, 0),
    ]
    assert {(one.ra, one.dec) for one in found} == {(151.0, 3.0)}


@pytest.mark.parametrize("hdus", [[], [exposures((99, 300, 5, 0, 20210402))]])
def test_columns_that_a_file_lacks_are_unknown(tmp_path: Path, hdus: list[Any]) -> None:
    without = (*IN_EXPOSURES, "TARGET_RA", "TARGET_DEC")
    path = write(tmp_path / "coadd.fits", [fibermap(IDS, without=without), *hdus])
    (one,) = observations(path, 12)[12]
    assert (one.tileid, one.fiber, one.petal, one.night) == (-1, -1, -1, -1)
    assert np.isnan(one.ra)
    assert one.viewer == ""


def test_a_target_that_the_file_lacks_has_one_unknown_observation(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap(IDS)])
    (one,) = observations(path, 99)[99]
    assert (one.tileid, one.viewer) == (-1, "")


def test_a_target_of_two_fibers_of_a_tile_has_both(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap([12, 13, 12])])
    assert [one.fiber for one in observations(path, 12)[12]] == [1000, 1002]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "coadd.fits").write_text("hello")
    with pytest.raises(InputError, match=r"coadd\.fits is not a FITS file"):
        observations(tmp_path / "coadd.fits", 12)
