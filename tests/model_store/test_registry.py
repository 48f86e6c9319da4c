"""Bundles are copied into BentoML's model store and out of it unchanged."""

import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from model_store.bundle import Bundle

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
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


class Checkout:
    """A copy of the repository's Makefile and model store, with a home folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home = folder / "checkout", folder / "home"
        self.home.mkdir()
        shutil.copytree(ROOT / "model_store", self.root / "model_store")
        shutil.copy(ROOT / "Makefile", self.root)

    def shell(self, *arguments: str | Path, **variables: str) -> str:
        """Run `python -m model_store` as a user does in a shell."""
        return self._run(sys.executable, "-m", "model_store", *arguments, **variables)

    def make(self, *arguments: str | Path, **variables: str) -> str:
        """Run the same from a recipe of the Makefile."""
        recipe = " ".join([sys.executable, "-m", "model_store", *map(str, arguments)])
        extended = self.root / "extended.mk"
        extended.write_text(f"include Makefile\nextended:\n\t@{recipe}\n")
        command = ("make", "--no-print-directory", "-f", extended, "extended")
        return self._run(*command, **variables)

    def clean(self) -> None:
        """Run `make clean`."""
        self._run("make", "clean")

    def _run(self, *command: str | Path, **variables: str) -> str:
        # What a login shell has; the variables of the tests, or of a make around them, are not.
        own = {"PATH": os.environ["PATH"], "HOME": str(self.home)} | variables
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.root,
            env=own,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_make_and_a_shell_see_the_same_models_below_the_repository(
    checkout: Checkout, bundle: Path
) -> None:
    tag = checkout.make("add", bundle)
    assert checkout.shell("list").startswith(f"{tag}\t")
    assert checkout.make("list") == checkout.shell("list")
    assert Bundle.open(bundle).sha256 in checkout.shell("verify", tag)
    assert not list(checkout.home.iterdir())


def test_a_users_own_store_is_that_of_make_too(
    checkout: Checkout, bundle: Path, tmp_path: Path
) -> None:
    own = {"BENTOML_HOME": str(tmp_path / "own")}
    tag = checkout.shell("add", bundle, **own)
    assert checkout.make("list", **own).startswith(f"{tag}\t")
    assert checkout.make("list") == ""


def test_clean_keeps_the_stored_models(checkout: Checkout, bundle: Path) -> None:
    tag = checkout.shell("add", bundle)
    (checkout.root / ".cache" / "matplotlib").mkdir()
    checkout.clean()
    assert checkout.shell("list").startswith(f"{tag}\t")
    assert [each.name for each in (checkout.root / ".cache").iterdir()] == ["bentoml"]
