"""Remote cache: several processes at a time, some of them killed, within a size."""

import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from outcrop import InputError, RemoteCache
from outcrop._remote.locks import locked
from outcrop.fingerprint import FileFingerprint
from tests.outcrop_sdk.file_server import FileServer, send_part, works

FETCH = """
import sys
from pathlib import Path
from outcrop import RemoteCache
cache = RemoteCache(Path(sys.argv[1]), int(sys.argv[2]))
for address in sys.argv[3:]:
    with cache.copy(address) as path:
        content = path.read_bytes()
        print(path.name, len(content), hash(content) and content[-2880:].hex()[:2], flush=True)
"""

pytestmark = pytest.mark.usefixtures("short_waits")


def fits_file(number: int, size: int = 400_000) -> bytes:
    """A FITS file with a checksum, whose data are the number."""
    hdu = fits.ImageHDU(np.full(size // 4, number, np.int32), name="B_FLUX")
    hdu.add_checksum()
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()


@pytest.fixture
def cache(tmp_path: Path) -> RemoteCache:
    return RemoteCache(tmp_path / "cache", 1 << 30)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes, of which none is left after the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def start(
    started: list[subprocess.Popen[str]], cache: RemoteCache, *addresses: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, str(cache.folder), str(cache.size), *addresses],
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    return process


def temporary(cache: RemoteCache) -> list[Path]:
    return sorted(cache.folder.rglob(".*.tmp"))


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # of an origin, renamed meanwhile


def kept(cache: RemoteCache) -> list[str]:
    return sorted(
        path.name for path in cache.folder.rglob("*.fits") if not path.name.startswith(".")
    )


def test_several_processes_fetch_a_file_once(
    files: FileServer, cache: RemoteCache, started: list[subprocess.Popen[str]]
) -> None:
    content = fits_file(7, 4_000_000)
    address = files.add("/a.fits", content)
    files.delay = 0.1
    processes = [start(started, cache, address) for _ in range(4)]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, f"a.fits {len(content)} 00\n")
    # The first bytes by all, the rest by one.
    rest = [first for _, first, _ in files.ranges if first > 0]
    assert len(rest) == len(set(rest)) >= 1
    assert kept(cache) == ["a.fits"]
    assert temporary(cache) == []


def test_what_a_killed_process_leaves_is_never_used(
    files: FileServer, cache: RemoteCache, started: list[subprocess.Popen[str]]
) -> None:
    content = fits_file(7, 2_000_000)
    address = files.add("/a.fits", content)
    half = threading.Event()

    def hangs(handler: object) -> bool:
        half.set()
        return files.closing.wait(60)

    files.faults = [works, hangs]
    process = start(started, cache, address)
    assert half.wait(60)
    assert len(temporary(cache)) == 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert kept(cache) == []

    with cache.copy(address) as path:
        assert path.read_bytes() == content
    assert temporary(cache) == []


def test_what_was_left_of_another_file_is_deleted(
    files: FileServer, cache: RemoteCache, started: list[subprocess.Popen[str]]
) -> None:
    address = files.add("/a.fits", fits_file(7, 2_000_000))
    half = threading.Event()

    def hangs(handler: object) -> bool:
        half.set()
        return files.closing.wait(60)

    files.faults = [works, hangs]
    process = start(started, cache, address)
    assert half.wait(60)
    process.kill()
    process.wait()
    assert len(temporary(cache)) == 1

    with cache.copy(files.add("/b.fits", fits_file(8))):
        assert temporary(cache) == []
        assert kept(cache) == ["b.fits"]


def test_the_size_is_never_exceeded(
    files: FileServer, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    contents = {f"/{number}.fits": fits_file(number) for number in range(12)}
    addresses = [files.add(path, content) for path, content in contents.items()]
    one = len(contents["/0.fits"]) + 1000
    cache = RemoteCache(tmp_path / "cache", 5 * one)
    processes = [start(started, cache, *addresses[n:], *addresses[:n]) for n in (0, 4, 8)]
    most = 0
    while any(process.poll() is None for process in processes):
        # Between two changes of the cache, as it counts itself.
        with locked(cache.folder / "lock"):
            found = sum(map(size_of, cache.folder.rglob("*.fits*")))
        most = max(most, found)
        time.sleep(0.002)

    assert [process.returncode for process in processes] == [0, 0, 0]
    for process in processes:
        assert process.stdout is not None
        assert len(process.stdout.read().splitlines()) == 12
    assert 3 * one < most <= cache.size
    assert 3 <= len(kept(cache)) <= 5


def test_a_copy_in_use_is_not_deleted(files: FileServer, tmp_path: Path) -> None:
    contents = [fits_file(number) for number in range(4)]
    cache = RemoteCache(tmp_path / "cache", 2 * len(contents[0]) + 2000)
    with cache.copy(files.add("/0.fits", contents[0])) as first:
        for number in (1, 2, 3):
            with cache.copy(files.add(f"/{number}.fits", contents[number])):
                pass
        assert first.read_bytes() == contents[0]
        assert kept(cache) == ["0.fits", "3.fits"]
        with (
            cache.copy(files.url + "/1.fits"),
            pytest.raises(InputError, match="files in use leave"),
            cache.copy(files.url + "/2.fits"),
        ):
            pass
    with cache.copy(files.url + "/2.fits"):
        assert "2.fits" in kept(cache)


def test_a_file_that_changes_while_it_is_fetched_is_begun_anew(
    files: FileServer, cache: RemoteCache
) -> None:
    old, new = fits_file(1, 2_000_000), fits_file(2, 2_000_000)
    address = files.add("/a.fits", old)

    def replaced(handler: object) -> bool:
        files.add("/a.fits", new)
        return False

    files.faults = [works, replaced]
    with cache.copy(address) as path:
        assert path.read_bytes() == new
        assert FileFingerprint.of(path) == cache.fingerprint(address)
    assert temporary(cache) == []


def test_a_file_that_changes_again_and_again_is_refused(
    files: FileServer, cache: RemoteCache
) -> None:
    contents = [fits_file(number, 2_000_000) for number in range(9)]
    address = files.add("/a.fits", contents[0])

    def other(number: int) -> bool:
        files.add("/a.fits", contents[number])
        return False

    files.faults = [lambda _, number=number: other(number) for number in range(1, 9)]
    with (
        pytest.raises(InputError, match="changed while it was fetched, 3 times"),
        cache.copy(address),
    ):
        pass
    assert len(files.ranges) == 6
    assert kept(cache) == temporary(cache) == []


def test_a_file_that_is_cut_again_and_again_is_never_kept(
    files: FileServer, cache: RemoteCache
) -> None:
    content = fits_file(1, 2_000_000)
    address = files.add("/a.fits", content)
    # A server that has half of the file, and says that this is all.
    short = content[: len(content) // 2 // 2880 * 2880]
    files.faults = [lambda handler: send_part(handler, short, 0, 524_159)]
    files.faults += [works] * 9
    with pytest.raises(InputError, match="is cut off"), cache.copy(address):
        pass
    assert kept(cache) == []


def test_a_forked_process_has_connections_of_its_own(files: FileServer, cache: RemoteCache) -> None:
    first, second = (files.add(f"/{n}.fits", fits_file(n)) for n in (1, 2))
    with cache.copy(first):
        pass
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(size_in_cache, cache, second).result(60) == len(fits_file(2))


def test_a_full_disk_leaves_nothing(files: FileServer, cache: RemoteCache) -> None:
    address = files.add("/a.fits", fits_file(1, 2_000_000))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        message = pool.submit(message_where_files_are_limited, cache, address).result(60)
    assert "a.fits cannot be written: [Errno 27] File too large" in message
    assert kept(cache) == temporary(cache) == []


def size_in_cache(cache: RemoteCache, address: str) -> int:
    with cache.copy(address) as path:
        return path.stat().st_size


def message_where_files_are_limited(cache: RemoteCache, address: str) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        size_in_cache(cache, address)
    except InputError as error:
        return str(error)
    return ""


def test_the_environment_names_folder_size_and_connections(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert RemoteCache.of_environment() == RemoteCache(tmp_path / "outcrop/remote", 20 << 30, 4)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert RemoteCache.of_environment().folder == Path("~/.cache/outcrop/remote").expanduser()

    monkeypatch.setenv("OUTCROP_REMOTE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("OUTCROP_REMOTE_GIB", "0.5")
    monkeypatch.setenv("OUTCROP_REMOTE_CONNECTIONS", "2")
    assert RemoteCache.of_environment() == RemoteCache(tmp_path / "own", 1 << 29, 2)


@pytest.mark.parametrize("name", ["OUTCROP_REMOTE_GIB", "OUTCROP_REMOTE_CONNECTIONS"])
@pytest.mark.parametrize("value", ["many", "0", "-1", "nan", "inf"])
def test_a_setting_that_is_no_number_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=f"{name} is '{value}'"):
        RemoteCache.of_environment()


@pytest.mark.parametrize(("size", "connections"), [(0, 4), (1, 0)])
def test_a_cache_without_room_or_connections_is_refused(size: int, connections: int) -> None:
    with pytest.raises(InputError, match="both must be 1 or more"):
        RemoteCache(Path("cache"), size, connections)


def test_a_folder_that_cannot_be_made_is_named(files: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = RemoteCache(tmp_path / "file" / "cache", 1 << 20)
    address = files.add("/a.fits", fits_file(1))
    with pytest.raises(InputError, match="OUTCROP_REMOTE_CACHE"), cache.copy(address):
        pass
