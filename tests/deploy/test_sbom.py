"""The SBOM has the packages of the image, each with the hashes that the build accepts."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = (ROOT / "requirements" / "serving.txt").read_text()


@pytest.fixture(scope="module")
def bom() -> dict[str, Any]:
    """What `make sbom` writes."""
    command = [sys.executable, "-m", "deploy.sbom"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)


def test_every_package_has_its_version_and_all_its_hashes(bom: dict[str, Any]) -> None:
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    packages = {each["name"]: each for each in bom["components"] if "purl" in each}
    entries = re.split(r"\n(?=\w)", REQUIREMENTS)
    pinned = {entry.split("==")[0]: entry for entry in entries}
    assert len(packages) > 50
    for name, package in packages.items():
        assert package["purl"] == f"pkg:pypi/{name}@{package['version']}"
        assert pinned[name].startswith(f"{name}=={package['version']} ")
        hashes = {each["content"] for each in package["hashes"]}
        assert hashes == set(re.findall(r"sha256:(\w+)", pinned[name]))

    # Only what another platform needs is left out.
    for name in pinned.keys() - packages.keys():
        assert re.match(rf"{name}==\S+ ; .*(win32|pypy|'emscripten')", pinned[name]), name


def test_the_service_and_the_sdk_are_in_it_and_the_service_needs_them(bom: dict[str, Any]) -> None:
    assert bom["metadata"]["component"]["name"] == "outcrop-server"
    needed = {each["ref"]: each.get("dependsOn", []) for each in bom["dependencies"]}
    assert "outcrop" in needed["outcrop-server"]
    assert any(each.startswith("pkg:pypi/bentoml@") for each in needed["outcrop-server"])
    (pykdtree,) = [each for each in needed if each.startswith("pkg:pypi/pykdtree@")]
    assert any(each.startswith("pkg:pypi/numpy@") for each in needed[pykdtree])
