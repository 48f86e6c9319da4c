"""A cache entry is complete or absent, and its name changes with what it depends on."""

import os
from pathlib import Path

import numpy as np
import pytest

from training.model import cache, cuts
from training.model.cache import cache_root, cached, key_of


def test_a_key_depends_on_each_part_and_on_where_it_ends() -> None:
    keys = [key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("ab", "c", "")]
    assert len(set(keys)) == 4
    assert key_of("ab", "c") == keys[0]
    array = np.arange(3)
    assert key_of(array.tobytes()) != key_of((array + 1).tobytes())


def test_a_key_depends_on_the_source_code_of_a_module(tmp_path: Path) -> None:
    assert key_of(cache) != key_of(cuts)
    assert key_of(cache) == key_of(cache)


def test_a_folder_is_written_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "a").write_text("1")

    first = cached(tmp_path / "key", write)
    assert cached(tmp_path / "key", write) == first == tmp_path / "key"
    assert (first / "a").read_text() == "1"
    assert len(calls) == 1


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached(tmp_path / "key", write)
    assert not list(tmp_path.iterdir())


def test_another_process_may_finish_first(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "a").write_text("ours")
        # The other process renames its folder now.
        (tmp_path / "key").mkdir()
        (tmp_path / "key" / "a").write_text("theirs")

    assert (cached(tmp_path / "key", write) / "a").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_the_environment_sets_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_CACHE", os.fspath(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("OUTCROP_CACHE")
    assert cache_root().parts[-2:] == (".cache", "training")
