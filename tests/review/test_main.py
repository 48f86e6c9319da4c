"""The command: what it refuses, and a real process that answers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from outcrop.labels import LabelStore
from tests.conftest import ROOT
from tests.service.conftest import free_port


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "192.0.2.1"), "give --tokens"),
        (("--tokens", "absent"), "cannot be read"),
        (("--tokens", "pyproject.toml"), "write one, or two while rotating"),
        (("--scanner", "<script>"), "is no name"),
        ((), "holds no score table"),
    ],
)
def test_what_cannot_be_started(
    command: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    done = command("-m", "review", tmp_path, *options)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_cannot_be_opened_ends_the_process(
    command: Callable[..., subprocess.CompletedProcess[str]], made: Path, tmp_path: Path
) -> None:
    options = ("--labels", tmp_path / "labels.sqlite", "--port", free_port())
    done = command("-m", "review", made / "night", "--model", "absent:1", *options)
    assert done.returncode == 1
    assert "review: error: absent:1 is neither a bundle's folder nor a tag" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_answers_and_keeps_its_labels(made: Path, bundle: Path, tmp_path: Path) -> None:
    port, labels = free_port(), tmp_path / "labels.sqlite"
    command = [sys.executable, "-m", "review", made / "night", "--model", bundle]
    command += ["--coadds", made / "sky", "--labels", labels, "--scanner", "ABC", "--port", port]
    server = subprocess.Popen([*map(str, command)], cwd=ROOT, env=os.environ)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 100
    try:
        while True:
            assert server.poll() is None
            assert time.monotonic() < deadline
            try:
                night = httpx2.get(f"{url}/api/night").json()
                break
            except httpx2.TransportError:
                time.sleep(0.2)

        while httpx2.get(f"{url}/readyz").json()["coming"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        csrf, label = {"X-CSRF-Token": night["csrf"]}, {"row": 0, "interest": 4}
        assert httpx2.post(f"{url}/api/labels", json=label, headers=csrf).status_code == 200
    finally:
        server.kill()
        server.wait()

    with LabelStore(labels) as store:
        assert [one.interest for one in store.current("ABC")] == [4]
