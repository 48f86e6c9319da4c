"""`make image` refuses a model that cannot be put into the image, in one line."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("model", "content", "reason"),
    [
        ("models/absent", None, "No such file or directory"),
        ("models/other", "not JSON", "names no version"),
        ("models/other", '{"name": "outcrop"}', "names no version"),
        ("models/other", "[]", "names no version"),
        ("../elsewhere", '{"version": "1"}', "a folder below models/"),
        ("sky", '{"version": "1"}', "a folder below models/"),
    ],
)
def test_a_folder_that_is_no_usable_bundle_is_named_in_one_line(
    tmp_path: Path, model: str, content: str | None, reason: str
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "deploy", checkout / "deploy")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    if content is not None:
        (checkout / model).mkdir(parents=True)
        (checkout / model / "manifest.json").write_text(content)

    done = subprocess.run(
        [sys.executable, "-m", "deploy.image", "--model", model],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"model {model}" in line
    assert reason in line
