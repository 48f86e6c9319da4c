"""Image: build the image of the service, or of whole releases, with docker, podman or buildah.

``python3 -m deploy.image`` needs only the standard library. The build uses the package index and
the certificate authority that pip uses on this machine, and the npm configuration of its user.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What .dockerignore leaves of models.
MODELS = (Path("demo/model"), Path("models"))
RELEASE = "release"
BUILDERS = ("docker", "podman", "buildah")
_CERTIFICATE = "/run/secrets/pip_cert"


def find_builder() -> str | None:
    """Return the first builder that works, or None; docker needs a running daemon."""
    for name in BUILDERS:
        if shutil.which(name) is not None:
            done = subprocess.run([name, "info"], capture_output=True, check=False)
            if done.returncode == 0:
                return name
    return None


def build(
    builder: str,
    tag: str,
    *,
    base: str | None = None,
    model: str | None = None,
    target: str | None = None,
) -> None:
    """Build the image.

    Parameters
    ----------
    builder : str
        One of `BUILDERS`.
    tag : str
    base : str, optional
        Base image with Python; default: the Dockerfile's.
    model : str, optional
        Folder of a bundle, relative to the root, to put into the image.
    target : str, optional
        Stage of the Dockerfile: `RELEASE`; default: the service.

    Raises
    ------
    subprocess.CalledProcessError
    """
    certificate = _pip("cert")
    arguments = {
        "BASE": base,
        "MODEL": model,
        "PIP_CERT": certificate and _CERTIFICATE,
        "PIP_INDEX_URL": os.environ.get("UV_DEFAULT_INDEX") or _pip("index-url"),
        "REVISION": _output("git", "rev-parse", "HEAD"),
        "VERSION": _version(),
    }
    command = [builder, "build", "--tag", tag]
    if target:
        command += ["--target", target]
    if builder != "docker":
        # A chroot needs no OCI runtime and no cgroups, so the build also works inside containers.
        command += ["--isolation", "chroot", "--layers"]
    if certificate:
        command += ["--secret", f"id={Path(_CERTIFICATE).name},src={certificate}"]
    npmrc = Path.home() / ".npmrc"
    if npmrc.is_file():
        command += ["--secret", f"id=npmrc,src={npmrc}"]
    for name, value in arguments.items():
        if value:
            command += ["--build-arg", f"{name}={value}"]
    subprocess.run([*command, "."], cwd=ROOT, env=os.environ | {"DOCKER_BUILDKIT": "1"}, check=True)


def model_version(model: str) -> str:
    """Return the version of a bundle that can be put into the image.

    Raises
    ------
    ValueError
        If there is no bundle, or not in the build context.
    """
    folder = (ROOT / model).resolve()
    if not any(folder.is_relative_to(ROOT / place) for place in MODELS):
        raise ValueError(f"model {model}: give demo/model or a folder below models/, no other")
    manifest = folder / "manifest.json"
    try:
        return str(json.loads(manifest.read_bytes())["version"])
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ValueError(f"model {model} is no bundle: {manifest}: {reason}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"model {model} is no bundle: {manifest} names no version") from error


def _version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def _output(*command: str) -> str | None:
    """Return what a command prints, or None if it is missing or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _pip(option: str) -> str | None:
    """Return an option of pip, from its environment variable or its configuration files."""
    variable = f"PIP_{option.upper().replace('-', '_')}"
    return os.environ.get(variable) or _output("pip", "config", "get", f"global.{option}")


def _fail(message: str) -> int:
    print(f"outcrop: error: {message}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m deploy.image", description=__doc__)
    parser.add_argument("--base", help="base image with Python 3.11 or later")
    parser.add_argument(
        "--model", help="bundle to put into the image: demo/model or a folder below models/"
    )
    parser.add_argument(
        "--release", action="store_true", help="image that runs whole releases, not the service"
    )
    parser.add_argument(
        "--tag",
        help="default: outcrop:VERSION, outcrop-release:VERSION or outcrop-model:VERSION OF MODEL",
    )
    options = parser.parse_args(arguments)

    target = RELEASE if options.release else None
    tag = f"localhost/outcrop{'-release' if target else ''}:{_version()}"
    if options.model:
        try:
            tag = f"localhost/outcrop-model:{model_version(options.model)}"
        except ValueError as error:
            return _fail(str(error))
    tag = options.tag or tag

    builder = find_builder()
    if builder is None:
        return _fail(f"none of {', '.join(BUILDERS)} works on this machine; install one of them")

    try:
        build(builder, tag, base=options.base, model=options.model, target=target)
    except subprocess.CalledProcessError as error:
        return _fail(f"{builder} failed with exit status {error.returncode}")
    print(f"{builder} built {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
