"""SBOM: the Python packages in the image, as CycloneDX, from the hashed requirements.

``python -m deploy.sbom`` prints it. The base image's own packages are not in it.
"""

# The library decorates its classes in a way that hides their constructors and attributes.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportArgumentType=false

import re
import tomllib
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "serving.txt"
# What the markers of requirements are evaluated for: the image.
_PLATFORM = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}


def render(requirements: str) -> str:
    """Return the SBOM of a requirements file as `uv pip compile --generate-hashes` writes it."""
    server = _project(ROOT / "pyproject.toml", ComponentType.APPLICATION)
    sdk = _project(ROOT / "clients" / "python" / "pyproject.toml", ComponentType.LIBRARY)
    components = {server.name: server, sdk.name: sdk}
    needed: dict[str, list[str]] = {server.name: [sdk.name]}

    # Each starts with `name==version ; marker \` and goes on indented: hashes, then who needs it.
    for entry in re.split(r"\n(?=\w)", requirements):
        requirement = Requirement(entry.split("\\")[0])
        if requirement.marker is None or requirement.marker.evaluate(_PLATFORM):
            components[requirement.name] = _package(requirement, entry)
            for parent in re.findall(r"^ +#(?: via|  ) +(\S+)", entry, re.MULTILINE):
                needed.setdefault(parent, []).append(requirement.name)

    bom = Bom(components=[each for each in components.values() if each is not server])
    bom.metadata.component = server
    for parent in needed.keys() & components.keys():
        bom.register_dependency(components[parent], [components[name] for name in needed[parent]])
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _project(file: Path, kind: ComponentType) -> Component:
    project = tomllib.loads(file.read_text())["project"]
    return Component(
        name=project["name"],
        version=project["version"],
        type=kind,
        bom_ref=project["name"],
        licenses=[LicenseExpression(project["license"])],
    )


def _package(requirement: Requirement, entry: str) -> Component:
    version = str(requirement.specifier).removeprefix("==")
    url = PackageURL("pypi", name=requirement.name, version=version)
    hashes = re.findall(r"--hash=sha256:(\w+)", entry)
    return Component(
        name=requirement.name,
        version=version,
        purl=url,
        bom_ref=url.to_string(),
        # One for each file of the release that the image may be built from.
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
    )


if __name__ == "__main__":
    print(render(REQUIREMENTS.read_text()))
