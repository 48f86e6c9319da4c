"""Room of the cache: who goes first, and who never goes."""

import os
from pathlib import Path

import pytest

from outcrop import InputError
from outcrop._remote.locks import locked
from outcrop._remote.room import Room


def entry(folder: Path, number: int, size: int, complete: bool = True) -> Path:
    """Make an entry of the cache; those with higher numbers were used later."""
    own = folder / f"{number:020d}-{number:020d}"
    own.mkdir(parents=True)
    (own / "lock").touch()
    (own / "coadd.fits").write_bytes(bytes(size))
    if complete:
        origin = own / "coadd.fits.origin.json"
        origin.touch()
        os.utime(origin, ns=(number * 10**9, number * 10**9))
    return own


def being_written(folder: Path, size: int = 0) -> Path:
    own = folder / ("f" * 20 + "-" + "f" * 20)
    own.mkdir(parents=True)
    temporary = own / ".coadd.fits.tmp"
    temporary.write_bytes(bytes(size))
    return temporary


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "cache", 1000)


def test_the_least_recently_used_go_first(room: Room) -> None:
    entries = [entry(room.folder, number, 300) for number in (3, 1, 2)]
    temporary = being_written(room.folder)
    with locked(temporary.parent / "lock"):
        room.reserve(temporary, 100)
        assert [each.exists() for each in entries] == [True, True, True]
        room.reserve(temporary, 101)
        assert [each.exists() for each in entries] == [True, False, True]
        room.reserve(temporary, 700)
        assert [each.exists() for each in entries] == [True, False, False]
        assert temporary.stat().st_size == 700


def test_what_is_in_use_stays(room: Room) -> None:
    first, second = (entry(room.folder, number, 400) for number in (1, 2))
    temporary = being_written(room.folder)
    with locked(temporary.parent / "lock"), locked(first / "lock", shared=True):
        room.reserve(temporary, 600)
        assert (first.exists(), second.exists()) == (True, False)
        with pytest.raises(InputError, match=r"600 bytes, and 601 are needed; raise OUTCROP"):
            room.reserve(temporary, 601)
        assert temporary.stat().st_size == 600


def test_a_file_that_grows_counts_once(room: Room) -> None:
    temporary = being_written(room.folder, 900)
    with locked(temporary.parent / "lock"):
        room.reserve(temporary, 1000)
        with pytest.raises(InputError, match="1001 are needed"):
            room.reserve(temporary, 1001)


def test_what_a_killed_process_left_is_deleted(room: Room) -> None:
    left = entry(room.folder, 9, 10, complete=False)
    abandoned = room.folder / ("e" * 20 + "-" + "e" * 20)
    abandoned.mkdir()
    (abandoned / ".coadd.fits.1f.tmp").write_bytes(bytes(50))
    fetching = entry(room.folder, 8, 10, complete=False)

    temporary = being_written(room.folder)
    with locked(temporary.parent / "lock"), locked(fetching / "lock"):
        room.reserve(temporary, 1)
        assert not left.exists()
        assert not abandoned.exists()
        # Another process is at work there.
        assert fetching.exists()


def test_files_of_others_are_left_alone(room: Room) -> None:
    own = room.folder / "notes"
    own.mkdir(parents=True)
    (own / "coadd.fits").write_bytes(bytes(5000))
    temporary = being_written(room.folder)
    with locked(temporary.parent / "lock"):
        room.reserve(temporary, 1000)
    assert (own / "coadd.fits").exists()


def test_a_complete_file_gets_its_name(room: Room) -> None:
    temporary = being_written(room.folder, 5)
    room.rename(temporary, temporary.with_name("coadd.fits"))
    assert [path.name for path in temporary.parent.iterdir()] == ["coadd.fits"]
