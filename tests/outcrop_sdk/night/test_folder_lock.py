"""One night at a time works on a folder."""

import errno
import fcntl
import os
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
