"""Remote stream: which bytes are asked for, and which are returned."""

from pathlib import Path

import numpy as np
import pytest

from outcrop import InputError
from outcrop._constants import REMOTE_AHEAD, REMOTE_FIRST, REMOTE_LARGEST, REMOTE_PIECE
from outcrop._remote.requests import Requests
from outcrop._remote.source import OriginChanged, open_source
from outcrop._remote.stream import RemoteStream
from tests.outcrop_sdk.file_server import FileServer, answers, fails, works

CONTENT = np.random.default_rng(1).bytes(3 * REMOTE_PIECE)

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def parts(files: FileServer, tmp_path: Path) -> Requests:
    return Requests(open_source(files.add("/a.fits", CONTENT)), tmp_path, 4)


def asked(files: FileServer) -> list[tuple[int, int]]:
    return [(first, last + 1) for _, first, last in files.ranges]


def test_bytes_are_read_in_turn(parts: Requests, files: FileServer) -> None:
    stream = RemoteStream(parts, first=5760)
    assert stream.size == len(CONTENT)
    assert stream.read(2880) == CONTENT[:2880]
    assert stream.read(2880) == CONTENT[2880:5760]
    assert asked(files) == [(0, 5760)]
    # More than is needed now.
    assert stream.read(2880) == CONTENT[5760:8640]
    assert asked(files)[1:] == [(5760, 5760 + REMOTE_AHEAD)]


def test_what_was_read_last_can_be_read_again(parts: Requests, files: FileServer) -> None:
    stream = RemoteStream(parts)
    assert stream.read(6) == CONTENT[:6]
    stream.seek(0)
    assert stream.read(6) == CONTENT[:6]
    assert len(files.ranges) == 1


def test_what_is_skipped_is_not_asked_for(parts: Requests, files: FileServer) -> None:
    stream = RemoteStream(parts)
    stream.seek(REMOTE_PIECE)
    assert stream.read(10) == CONTENT[REMOTE_PIECE : REMOTE_PIECE + 10]
    assert asked(files) == [(0, REMOTE_FIRST), (REMOTE_PIECE, REMOTE_PIECE + REMOTE_AHEAD)]


def test_a_large_part_is_read_in_pieces_with_what_follows(
    parts: Requests, files: FileServer
) -> None:
    stream = RemoteStream(parts)
    stop = REMOTE_FIRST + REMOTE_PIECE + 1000
    assert b"".join(stream.pieces(stop)) == CONTENT[:stop]
    middle = REMOTE_FIRST + REMOTE_PIECE
    assert asked(files) == [
        (0, REMOTE_FIRST),
        (REMOTE_FIRST, middle),
        (middle, stop + REMOTE_AHEAD),
    ]
    assert (stream.requests, stream.received) == (3, stop + REMOTE_AHEAD)
    assert stream.read(10) == CONTENT[stop : stop + 10]


def test_the_end_of_the_file_is_the_end(parts: Requests) -> None:
    stream = RemoteStream(parts)
    stream.seek(len(CONTENT) - 5)
    assert stream.read(10) == CONTENT[-5:]
    assert stream.read(10) == b""
    assert b"".join(stream.pieces(1 << 60)) == b""


def test_a_whole_file_has_a_sha256(parts: Requests) -> None:
    import hashlib

    done = list[int]()
    stream = RemoteStream(parts, whole=True, progress=done.append)
    stream.read(100)
    stream.seek(2 * REMOTE_PIECE)
    assert stream.read(10) == CONTENT[2 * REMOTE_PIECE : 2 * REMOTE_PIECE + 10]
    assert stream.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert sum(done) == stream.received == len(CONTENT)


def test_a_changed_file_is_noticed(parts: Requests, files: FileServer) -> None:
    stream = RemoteStream(parts)
    files.add("/a.fits", CONTENT[:-1] + b"x")
    with pytest.raises(OriginChanged, match="changed while"):
        list(stream.pieces(REMOTE_PIECE))


def test_a_shorter_file_is_noticed(parts: Requests, files: FileServer) -> None:
    stream = RemoteStream(parts)
    files.add("/a.fits", CONTENT[:REMOTE_FIRST])
    with pytest.raises(OriginChanged, match="shorter"):
        list(stream.pieces(REMOTE_PIECE))


def test_a_416_that_passes_is_no_change(parts: Requests, files: FileServer) -> None:
    files.faults = [works, fails(416)]
    stream = RemoteStream(parts)
    assert b"".join(stream.pieces(REMOTE_PIECE)) == CONTENT[:REMOTE_PIECE]


def test_a_file_that_is_too_large_is_refused(parts: Requests, files: FileServer) -> None:
    files.faults = [answers(206, b"ab", Content_Range=f"bytes 0-1/{REMOTE_LARGEST + 1}")]
    with pytest.raises(InputError, match="is it a coadd"):
        RemoteStream(parts, first=2)
