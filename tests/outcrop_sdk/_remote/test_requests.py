"""Requests: retries with back-off, and the limit of connections."""

import logging
import threading
from pathlib import Path

import pytest

from outcrop import InputError, OutcropError, ServerError, StatusError
from outcrop._constants import REMOTE_TRIES
from outcrop._remote.requests import Requests
from outcrop._remote.source import open_source
from tests.outcrop_sdk.file_server import FileFault, FileServer, answers, cuts, fails

CONTENT = b"0123456789" * 100

pytestmark = pytest.mark.usefixtures("short_waits")


def requests(files: FileServer, folder: Path, limit: int = 4) -> Requests:
    return Requests(open_source(files.add("/a.fits", CONTENT)), folder / "connections", limit)


@pytest.mark.parametrize("fault", [*map(fails, (408, 416, 429, 500, 502, 503, 504)), cuts])
def test_a_failure_that_may_pass_is_tried_again(
    files: FileServer, tmp_path: Path, fault: FileFault, caplog: pytest.LogCaptureFixture
) -> None:
    files.faults = [fault, fault]
    with caplog.at_level(logging.WARNING):
        assert requests(files, tmp_path).get(10, 15).content == b"01234"
    assert len(files.ranges) == 3
    assert caplog.text.count("next try in") == 2


def test_a_time_out_is_tried_again(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outcrop._remote.http_source.REMOTE_TIMEOUT", 0.3)
    files.faults = [lambda handler: files.closing.wait(20)]
    assert requests(files, tmp_path).get(10, 15).content == b"01234"


@pytest.mark.parametrize("fault", [fails(403), fails(404), fails(501), answers(206, b"")])
def test_another_failure_is_not_tried_again(
    files: FileServer, tmp_path: Path, fault: FileFault
) -> None:
    files.faults = [fault]
    with pytest.raises(OutcropError):
        requests(files, tmp_path).get(10, 15)
    assert len(files.ranges) == 1


def test_the_tries_end(files: FileServer, tmp_path: Path) -> None:
    files.faults = [fails(503)] * 100
    with pytest.raises(ServerError, match="503"):
        requests(files, tmp_path).get(10, 15)
    assert len(files.ranges) == REMOTE_TRIES


def test_the_pause_is_what_the_server_asks_for(
    files: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files.faults = [fails(429, Retry_After="1")]
    with caplog.at_level(logging.WARNING):
        requests(files, tmp_path).get(10, 15)
    assert "next try in 1.0 s" in caplog.text


def test_a_pause_that_is_too_long_is_an_error(files: FileServer, tmp_path: Path) -> None:
    files.faults = [fails(503, Retry_After="301")]
    with pytest.raises(StatusError) as raised:
        requests(files, tmp_path).get(10, 15)
    assert raised.value.retry_after == 301
    assert len(files.ranges) == 1


@pytest.mark.parametrize("limit", [1, 3])
def test_connections_are_limited(files: FileServer, tmp_path: Path, limit: int) -> None:
    files.delay = 0.05
    # As of several processes: each has locks of its own.
    threads = [
        threading.Thread(target=requests(files, tmp_path, limit).get, args=(0, 5)) for _ in range(9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files.ranges) == 9
    assert files.most == limit


def test_the_folder_of_another_file_is_read_within_the_same_limit(
    files: FileServer, tmp_path: Path
) -> None:
    files.add("/", b'<a href="all.sha256sum">')
    files.faults = [fails(503)]
    own = requests(files, tmp_path)
    assert own.names() == ["all.sha256sum"]
    other = own.of(open_source(files.add("/b.fits", b"b")))
    assert other.get(0, 1).content == b"b"


def test_a_folder_that_cannot_be_made_is_named(files: FileServer, tmp_path: Path) -> None:
    (tmp_path / "connections").touch()
    with pytest.raises(InputError, match="OUTCROP_REMOTE_CACHE names"):
        requests(files, tmp_path).get(0, 5)
