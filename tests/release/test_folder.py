"""A published folder is complete, or it is not there."""

from pathlib import Path

import pytest

from outcrop import InputError
from release.folder import publishing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def publish(target: Path, text: str, overwrite: bool = False) -> None:
    with publishing(target, "mark", overwrite) as folder:
        (folder / "mark").touch()
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)
        assert not target.exists() or (target / "sub" / "file").read_text() != text


def test_the_folder_has_its_name_when_the_block_ends(tmp_path: Path) -> None:
    publish(tmp_path / "new" / "v1", "one")
    assert (tmp_path / "new" / "v1" / "sub" / "file").read_text() == "one"
    assert names(tmp_path / "new") == ["v1"]


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with publishing(tmp_path / "v1", "mark") as folder:
            (folder / "file").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


def test_an_earlier_folder_is_replaced_as_a_whole_and_only_if_asked(tmp_path: Path) -> None:
    publish(tmp_path / "v1", "one")
    (tmp_path / "v1" / "old").touch()
    with pytest.raises(InputError, match=r"v1 exists; .*--overwrite"):
        publish(tmp_path / "v1", "two")
    assert (tmp_path / "v1" / "sub" / "file").read_text() == "one"
    assert names(tmp_path) == ["v1"]

    publish(tmp_path / "v1", "two", overwrite=True)
    assert (tmp_path / "v1" / "sub" / "file").read_text() == "two"
    assert names(tmp_path / "v1") == ["mark", "sub"]
    assert names(tmp_path) == ["v1"]


def test_an_earlier_folder_stays_when_the_new_one_fails(tmp_path: Path) -> None:
    publish(tmp_path / "v1", "one")

    def fail() -> None:
        with publishing(tmp_path / "v1", "mark", overwrite=True):
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"v1 cannot be written: .*No space left"):
        fail()
    assert (tmp_path / "v1" / "sub" / "file").read_text() == "one"
    assert names(tmp_path) == ["v1"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".v1.tmp" / "sub").mkdir(parents=True)
    (tmp_path / ".v1.tmp" / "sub" / "half").touch()
    publish(tmp_path / "v1", "one")
    assert names(tmp_path / "v1") == ["mark", "sub"]
    assert names(tmp_path / "v1" / "sub") == ["file"]


def test_a_process_killed_between_the_two_names_loses_nothing(tmp_path: Path) -> None:
    publish(tmp_path / "v1", "one")
    (tmp_path / "v1").rename(tmp_path / ".v1.old")
    with pytest.raises(InputError, match="exists"):
        publish(tmp_path / "v1", "two")
    assert (tmp_path / "v1" / "sub" / "file").read_text() == "one"
    assert names(tmp_path) == ["v1"]


def test_two_writers_of_one_folder_exclude_each_other(tmp_path: Path) -> None:
    with publishing(tmp_path / "v1", "mark") as folder:
        (folder / "file").touch()
        with pytest.raises(InputError, match=r"another process writes .*v1"):
            publish(tmp_path / "v1", "two")
    assert names(tmp_path / "v1") == ["file"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "v1").write_text("mine")
    with pytest.raises(InputError, match="v1 is a file"):
        publish(tmp_path / "v1", "two", overwrite=True)
    assert (tmp_path / "v1").read_text() == "mine"
    assert names(tmp_path) == ["v1"]


def test_another_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").write_text("mine")
    with pytest.raises(InputError, match="home has no mark"):
        publish(tmp_path / "home", "two", overwrite=True)
    assert (tmp_path / "home" / "thesis").read_text() == "mine"
    (tmp_path / "home" / "thesis").unlink()
    with publishing(tmp_path / "home", "mark", overwrite=True) as folder:
        (folder / "mark").touch()
    assert names(tmp_path / "home") == ["mark"]
