"""The container's start script."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_start_copies_the_compiled_code_and_removes_the_drain_file(tmp_path: Path) -> None:
    image, written = tmp_path / "image", tmp_path / "written"
    (image / "numba" / "scoring").mkdir(parents=True)
    (image / "numba" / "scoring" / "coadd.nbc").write_text("compiled")
    shutil.copy(ROOT / "deploy" / "start.sh", image)

    # Replaces BentoML; prints its arguments.
    bentoml = image / "bentoml"
    bentoml.write_text('#!/bin/sh\necho "$@"\n')
    bentoml.chmod(0o755)

    written.mkdir()
    (written / "drain").touch()
    environment = {
        "PATH": f"{image}:{os.environ['PATH']}",
        "NUMBA_CACHE_DIR": str(written / "numba"),
        "OUTCROP_DRAIN_FILE": str(written / "drain"),
    }
    command = ["/bin/sh", str(image / "start.sh"), "--port", "8080"]

    # Twice: a container that restarts in its pod finds the files of its first start.
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [
            *("serve", "service.app:OutlierService", "--host", "0.0.0.0", "--port", "3000"),  # noqa: S104
            *("--port", "8080"),
        ]
        assert (written / "numba" / "scoring" / "coadd.nbc").read_text() == "compiled"
        assert not (written / "drain").exists()


def test_its_first_argument_may_be_the_review(tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "numba").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "start.sh", image)
    # Replaces Python; prints its arguments.
    python = image / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)

    environment = {
        "PATH": f"{image}:{os.environ['PATH']}",
        "NUMBA_CACHE_DIR": str(tmp_path / "written"),
        "OUTCROP_DRAIN_FILE": str(tmp_path / "drain"),
    }
    command = ["/bin/sh", str(image / "start.sh"), "review", "/tables", "--port=8080"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-m", "review", "/tables", "--port=8080"]
