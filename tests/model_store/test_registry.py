"""Bundles are copied into BentoML's model store and out of it unchanged."""

import filecmp
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from model_store.bundle import Bundle

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def store(command: Command, tmp_path: Path) -> Command:
    """`python -m model_store` with a store of its own."""

    def call(*arguments: str | Path) -> CompletedProcess[str]:
        return command("-m", "model_store", *arguments, BENTOML_HOME=str(tmp_path / "store"))

    return call


def test_a_bundle_is_added_listed_verified_and_exported(
    store: Command, bundle: Path, tmp_path: Path
) -> None:
    added = store("add", bundle)
    assert added.returncode == 0, added.stderr
    tag = added.stdout.strip()
    assert tag == f"outcrop:{Bundle.open(bundle).manifest.version}"

    listed = store("list").stdout
    assert tag in listed
    assert "simulated" in listed

    verified = store("verify", tag)
    assert Bundle.open(bundle).sha256 in verified.stdout

    exported = store("export", tag, tmp_path / "copy")
    assert exported.returncode == 0, exported.stderr
    names = sorted(path.name for path in bundle.iterdir())
    match, _, _ = filecmp.cmpfiles(bundle, tmp_path / "copy", names, shallow=False)
    assert sorted(match) == names


def test_a_bundles_folder_may_hold_endless_files_that_are_none_of_its_own(
    store: Command, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    (folder / "zeros").symlink_to("/dev/zero")
    (folder / "up").symlink_to(".")
    os.mkfifo(folder / "pipe")
    added = store("add", folder)
    assert added.returncode == 0, added.stderr
    assert store("verify", added.stdout.strip()).returncode == 0


def test_errors_name_the_thing_and_the_remedy(store: Command, bundle: Path, tmp_path: Path) -> None:
    assert store("add", bundle).returncode == 0
    for arguments, words in [
        (("add", bundle), "already exists"),
        (("add", tmp_path), "manifest.json"),
        (("verify", "outcrop:never"), "outcrop:never is neither"),
        (("export", "outcrop:never", tmp_path / "x"), "model_store list"),
        (("export", "outcrop:never", bundle), "exists already"),
    ]:
        done = store(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
