"""Locks: alone or shared, among processes and threads, and of files that are deleted."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from outcrop._remote.locks import Lock, locked, one_of

HOLD = """
import sys
from pathlib import Path
from outcrop._remote.locks import locked
with locked(Path(sys.argv[1]), shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    sys.stdin.read()
"""


def other_process(path: Path, kind: str) -> subprocess.Popen[str]:
    """Start a process that holds a lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def is_free(path: Path) -> bool:
    lock = Lock(path)
    try:
        return lock.try_exclusive()
    finally:
        lock.close()


@pytest.mark.parametrize("kind", ["shared", "alone"])
def test_a_lock_ends_with_its_process(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "folder" / "lock"
    with other_process(path, kind) as process:
        try:
            assert not is_free(path)
        finally:
            process.kill()
    assert is_free(path)


def test_a_lock_is_shared_among_processes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with other_process(path, "shared") as process, locked(path, shared=True):
        assert not is_free(path)
        process.communicate()
        assert not is_free(path)
    assert is_free(path)


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", list[str]()

    def wait() -> None:
        with locked(path):
            order.append("second")

    thread = threading.Thread(target=wait)
    with locked(path):
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_who_waits_for_a_deleted_lock_begins_again(tmp_path: Path) -> None:
    path, found = tmp_path / "folder" / "lock", list[bool]()

    def wait() -> None:
        with locked(path):
            # The lock is that of the new file: no other can be had.
            found.append(path.exists() and not is_free(path))

    thread = threading.Thread(target=wait)
    with locked(path):
        thread.start()
        thread.join(0.1)
        path.unlink()
        path.parent.rmdir()
    thread.join()
    assert found == [True]


def test_a_fork_does_not_inherit_a_lock(tmp_path: Path) -> None:
    path, (reading, writing) = tmp_path / "lock", os.pipe()
    with locked(path):
        child = os.fork()
        if child == 0:
            # Until the other end is closed
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        assert not is_free(path)
    try:
        os.close(reading)
        deadline = time.monotonic() + 10
        while not is_free(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_free(path)
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    finally:
        os.close(writing)
        os.waitpid(child, 0)


def test_all_of_several_locks_can_be_had(tmp_path: Path) -> None:
    with one_of(tmp_path, 3), one_of(tmp_path, 3), one_of(tmp_path, 3):
        assert not any(is_free(tmp_path / str(number)) for number in range(3))
    assert all(is_free(tmp_path / str(number)) for number in range(3))
