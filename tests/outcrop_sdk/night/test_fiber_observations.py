"""A target's places are every fibre and night it was seen through, once each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop import InputError
from outcrop.night.fiber_observations import Place, read_places
from tests.outcrop_sdk.sample import fibermap, table, write

IDS = [39633345008634465, 12, -7008279]
IN_EXPOSURES = ("TILEID", "FIBER", "PETAL_LOC")


def places(path: Path, *targetids: int) -> dict[int, list[Place]]:
    return read_places(path, np.array(targetids, np.int64))


def exposures(*rows: tuple[int, int, int, int, int]) -> Any:
    names = ("TARGETID", "TILEID", "FIBER", "PETAL_LOC", "NIGHT")
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return table("EXP_FIBERMAP", **{name: ("K", values) for name, values in columns})


def test_in_a_tile_it_is_the_targets_fibre_and_the_files_night(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap(IDS)], NIGHT=20210324)
    assert places(path, IDS[2], IDS[0]) == {
        IDS[0]: [Place(150.0, 2.0, tileid=80613, fiber=1000, petal=2, night=20210324)],
        IDS[2]: [Place(152.0, 4.0, tileid=80613, fiber=1002, petal=2, night=20210324)],
    }


def test_in_a_healpixel_it_is_every_combination_once_by_night(tmp_path: Path) -> None:
    rows = [
        (12, 300, 5, 0, 20210402),
        (12, 300, 5, 0, 20210402),
        (12, 301, 7, 1, 20210401),
        (12, 300, 5, 0, 20210401),
        (IDS[0], 302, 9, 1, 20210403),
    ]
    hdus = [fibermap(IDS, without=IN_EXPOSURES), exposures(*rows)]
    path = write(tmp_path / "coadd.fits", hdus)
    found = places(path, 12)[12]
    assert [(p.night, p.tileid, p.fiber, p.petal) for p in found] == [
        (20210401, 300, 5, 0),
        (20210401, 301, 7, 1),
        (20210402, 300, 5, 0),
    ]
    assert {(p.ra, p.dec) for p in found} == {(151.0, 3.0)}


@pytest.mark.parametrize("hdus", [[], [exposures((99, 300, 5, 0, 20210402))]])
def test_what_a_file_does_not_say_is_unknown(tmp_path: Path, hdus: list[Any]) -> None:
    without = (*IN_EXPOSURES, "TARGET_RA", "TARGET_DEC")
    path = write(tmp_path / "coadd.fits", [fibermap(IDS, without=without), *hdus])
    (place,) = places(path, 12)[12]
    assert (place.tileid, place.fiber, place.petal, place.night) == (-1, -1, -1, -1)
    assert np.isnan(place.ra)
    assert place.viewer == ""


def test_a_target_that_the_file_does_not_hold_has_an_unknown_place(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap(IDS)])
    (place,) = places(path, 99)[99]
    assert (place.tileid, place.viewer) == (-1, "")


def test_a_target_of_two_fibres_of_a_tile_has_both(tmp_path: Path) -> None:
    path = write(tmp_path / "coadd.fits", [fibermap([12, 13, 12])])
    assert [place.fiber for place in places(path, 12)[12]] == [1000, 1002]


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "coadd.fits").write_text("hello")
    with pytest.raises(InputError, match=r"coadd\.fits is not a FITS file"):
        places(tmp_path / "coadd.fits", 12)
