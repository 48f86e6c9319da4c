"""Entries of the cache: made once, as a whole or not at all."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from outcrop import InputError
from outcrop._remote.entry import CacheEntry
from outcrop._remote.requests import Requests
from outcrop._remote.room import Room
from outcrop._remote.source import open_source
from outcrop._remote.stream import RemoteStream
from outcrop.fingerprint import FileFingerprint
from tests.outcrop_sdk.file_server import MODIFIED, FileServer, described, fails
from tests.outcrop_sdk.sample import write_redrock

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "cache", 1 << 20)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return write_redrock(tmp_path / "redrock-1.fits", list(range(300))).read_bytes()


def opened(
    room: Room, files: FileServer, content: bytes, name: str = "redrock-1.fits", **stream: Any
) -> tuple[CacheEntry, RemoteStream]:
    source = open_source(files.add(f"/{name}", content))
    read = RemoteStream(Requests(source, room.folder / "connections", 4), **stream)
    return CacheEntry.of(room, read, ""), read


def names(room: Room) -> list[str]:
    """Return the names of all files but locks."""
    return sorted(
        path.name
        for path in room.folder.rglob("*")
        if path.is_file() and path.name != "lock" and path.parent.name != "connections"
    )


def test_the_copy_lies_beside_its_origin(room: Room, files: FileServer, content: bytes) -> None:
    entry, stream = opened(room, files, content)
    assert not CacheEntry.is_likely(room, stream.address)
    entry.hold(stream).close()
    assert entry.copy.read_bytes() == content
    assert names(room) == ["redrock-1.fits", "redrock-1.fits.origin.json"]
    assert CacheEntry.is_likely(room, stream.address)
    etag = described(content)["ETag"]
    origin = FileFingerprint(f"{files.url}/redrock-1.fits", len(content), MODIFIED * 10**9, etag)
    assert FileFingerprint.of(entry.copy) == origin
    assert (
        json.loads(entry.copy.with_name("redrock-1.fits.origin.json").read_text())["etag"] == etag
    )


def test_a_copy_that_is_there_is_not_fetched_again(
    room: Room, files: FileServer, content: bytes
) -> None:
    for _ in range(2):
        entry, stream = opened(room, files, content, first=2880)
        entry.hold(stream).close()
    # Of the second only the first request.
    assert [first for _, first, _ in files.ranges].count(0) == 2
    assert len(files.ranges) == 3


def test_another_version_is_another_entry(room: Room, files: FileServer, content: bytes) -> None:
    first, stream = opened(room, files, content)
    lock = first.hold(stream)
    changed = content[:-2880] + bytes(2880)
    second, stream = opened(room, files, changed)
    second.hold(stream).close()
    # Who reads the first is not disturbed.
    assert first.copy.read_bytes() == content
    assert second.copy.read_bytes() == changed
    lock.close()


def test_after_a_failure_nothing_is_left(room: Room, files: FileServer, content: bytes) -> None:
    entry, stream = opened(room, files, content, first=2880)
    files.faults = [fails(404)]
    with pytest.raises(InputError):
        entry.hold(stream)
    assert names(room) == []
    entry, stream = opened(room, files, content)
    entry.hold(stream).close()
    assert entry.copy.read_bytes() == content


def test_a_file_that_the_cache_cannot_hold_is_refused(
    tmp_path: Path, files: FileServer, content: bytes
) -> None:
    room = Room(tmp_path / "small", len(content) - 1)
    entry, stream = opened(room, files, content)
    with pytest.raises(InputError, match="raise OUTCROP_REMOTE_GIB"):
        entry.hold(stream)
    assert names(room) == []


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("padding", [0, 1000])
def test_a_gzipped_file_is_kept_as_it_is(
    room: Room, files: FileServer, content: bytes, copies: int, padding: int
) -> None:
    packed = gzip.compress(content) * copies + bytes(padding)
    entry, stream = opened(room, files, packed, "redrock-1.fits.gz")
    entry.hold(stream).close()
    assert entry.copy.read_bytes() == packed


def test_damaged_gzipped_files_are_refused(room: Room, files: FileServer, content: bytes) -> None:
    packed = gzip.compress(content)
    for damaged, why in (
        (packed[:-4], "is cut off"),
        (packed[:200], "is cut off"),
        (packed[:100] + b"\xff" * 50 + packed[150:], "is damaged"),
        (packed[:-8] + bytes(8), "is damaged"),
        (packed + b"x", "is damaged|is cut off"),
    ):
        entry, stream = opened(room, files, damaged, "redrock-1.fits.gz")
        with pytest.raises(InputError, match=why):
            entry.hold(stream)
    assert names(room) == []


def test_a_gzipped_file_that_unpacks_to_too_much_is_refused(
    room: Room, files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._remote.entry.REMOTE_UNPACKED", 50 << 20)
    entry, stream = opened(room, files, gzip.compress(bytes(51 << 20)), "coadd-1.fits.gz")
    with pytest.raises(InputError, match="when it is unpacked"):
        entry.hold(stream)
    entry, stream = opened(room, files, gzip.compress(bytes(50 << 20)), "coadd-1.fits.gz")
    entry.hold(stream).close()
