"""One night at a time works on a folder."""

import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from outcrop import FolderInUse, InputError
from outcrop.night.folder_lock import find_holder, locked


def test_a_lock_is_held_by_one_and_names_it(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(FolderInUse, match=f"process {os.getpid()} on .*, since 20.* UTC; wait"),
        locked(tmp_path),
    ):
        pytest.fail("locked twice")
    with locked(tmp_path):
        pass


def test_a_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), locked(tmp_path):
        raise OSError("disk")
    with locked(tmp_path):
        pass


def test_other_text_in_the_file_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "night.lock").write_bytes(b"\xff" * 9999)
    with locked(tmp_path):
        assert (tmp_path / "night.lock").read_text().startswith(f"process {os.getpid()} on ")


def test_who_looks_for_the_holder_makes_no_work_fail(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    # As `find_holder` does, for longer.
    looking = (tmp_path / "night.lock").open("rb")
    fcntl.flock(looking, fcntl.LOCK_SH)
    ends = threading.Timer(0.2, looking.close)
    ends.start()
    with locked(tmp_path):
        assert looking.closed
    ends.join()


def test_of_two_that_begin_at_once_one_works(tmp_path: Path) -> None:
    begun, refused = threading.Barrier(2), list[bool]()

    def work() -> None:
        for _ in range(200):
            begun.wait(20)
            found = False
            try:
                with locked(tmp_path):
                    # Both have tried before the lock is released.
                    begun.wait(20)
            except FolderInUse:
                found = True
                begun.wait(20)
            refused.append(found)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused.count(True) == refused.count(False) == 200


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "night.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match=r"night\.lock cannot be opened"), locked(tmp_path):
        pytest.fail("followed")
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        assert "night.lock cannot be locked" in caplog.text


def test_the_holder_is_found_while_there_is_one(tmp_path: Path) -> None:
    assert find_holder(tmp_path, "run") == ""
    with locked(tmp_path, "run"):
        assert find_holder(tmp_path, "run").startswith(f"process {os.getpid()} on ")
        with pytest.raises(FolderInUse, match="another run works on"), locked(tmp_path, "run"):
            pytest.fail("locked twice")
    assert find_holder(tmp_path, "run") == ""
