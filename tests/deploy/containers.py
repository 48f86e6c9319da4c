"""Containers as a cluster runs them: read-only, as the image's user, without any capability.

docker and podman run containers. buildah only builds, and podman cannot run everywhere that it can
build, for instance where it may not set resource limits. Their images then run in a chroot with its
own mount namespace; that needs util-linux and root.
"""

import json
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def output(*command: str | Path) -> str:
    """Run a command that must succeed; return its output."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


class Container(ABC):
    """A running container of the service, on a loopback port of this machine."""

    @abstractmethod
    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside."""

    @abstractmethod
    def status(self) -> str:
        """Return /proc/PID/status of the container's first process."""

    @abstractmethod
    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""

    @abstractmethod
    def log(self) -> str:
        """Return its output."""

    @abstractmethod
    def remove(self) -> None:
        """Stop the container and remove it."""


class Engine(Container):
    """A container of docker or podman."""

    def __init__(
        self, name: str, image: str, port: int, folders: Mapping[Path, str], env: Mapping[str, str]
    ) -> None:
        self._name = name
        restricted = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108
        self._container = output(
            *(name, "run", "--detach", *restricted, "--security-opt", "no-new-privileges"),
            *(f"--volume={source}:{target}:ro" for source, target in folders.items()),
            *(f"--env={key}={value}" for key, value in env.items()),
            *("--publish", f"127.0.0.1:{port}:3000", image),
        )

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        shell = [self._name, "exec", self._container, "/bin/sh", "-c", command]
        return subprocess.run(shell, capture_output=True, text=True, check=False)

    def status(self) -> str:
        return self.run("cat /proc/1/status").stdout

    def stop(self) -> int:
        output(self._name, "stop", "--time", "60", self._container)
        return int(output(self._name, "wait", self._container))

    def log(self) -> str:
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.run([self._name, "logs", self._container], check=True, **both).stdout

    def remove(self) -> None:
        output(self._name, "rm", "--force", self._container)


# $1 is the root, $2 its user, $3 its working folder; then pairs of folders, --, and the command.
_CHROOT = """
set -eu
root=$1 user=$2 folder=$3
shift 3
grep -q localhost "$root/etc/hosts" 2>/dev/null || echo 127.0.0.1 localhost > "$root/etc/hosts"
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777,nosuid,nodev,size=64m tmpfs "$root/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
    shift 2
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups \\
    --no-new-privs --inh-caps=-all --bounding-set=-all \\
    /bin/sh -c 'cd "$0"; exec "$@"' "$folder" "$@"
"""


class Mounted:
    """The files of an image of podman or buildah, mounted for a new container."""

    def __init__(self, builder: str, image: str) -> None:
        self._builder = builder
        create = "create" if builder == "podman" else "from"
        self._container = output(builder, create, image)
        self.root = output(builder, "mount", self._container)

        inspected = json.loads(output(builder, "inspect", "--type", "image", image))
        self.config: dict[str, Any] = (
            inspected[0]["Config"] if builder == "podman" else inspected["OCIv1"]["config"]
        )

    def remove(self) -> None:
        """Remove the container."""
        output(self._builder, "rm", self._container)


class Chroot(Container):
    """An image of podman or buildah, without a container runtime."""

    def __init__(
        self,
        builder: str,
        image: str,
        port: int,
        folders: Mapping[Path, str],
        env: Mapping[str, str],
        log: Path,
    ) -> None:
        self._mounted = Mounted(builder, image)
        config = self._mounted.config
        self._log = log

        pairs = [str(each) for pair in folders.items() for each in pair]
        with log.open("w") as file:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "/bin/sh", "-c", _CHROOT, "sh"),
                    *(self._mounted.root, config["User"], config["WorkingDir"], *pairs, "--"),
                    *(*config["Entrypoint"], "--host", "127.0.0.1", "--port", str(port)),
                ],
                env=dict(each.split("=", 1) for each in config["Env"]) | dict(env),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        target = ("--target", str(self._process.pid), "--mount", "--root", "--wd")
        shell = ["nsenter", *target, "/bin/sh", "-c", command]
        return subprocess.run(shell, capture_output=True, text=True, check=False)

    def status(self) -> str:
        return Path(f"/proc/{self._process.pid}/status").read_text()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(timeout=60)

    def log(self) -> str:
        return self._log.read_text()

    def remove(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._mounted.remove()


def can_chroot(builder: str) -> bool:
    """Return whether images of a builder can be run in a chroot on this machine."""
    probe = ["unshare", "--mount", "true"]
    return (
        builder != "docker"
        and os.getuid() == 0
        and subprocess.run(probe, check=False).returncode == 0
    )


@cache
def can_run(builder: str, image: str) -> bool:
    """Return whether a builder runs containers of an image on this machine."""
    if builder == "buildah":
        return False
    run = (builder, "run", "--rm", "--network=none", "--entrypoint", "/bin/true", image)
    return subprocess.run(run, capture_output=True, check=False).returncode == 0


def load(builder: str, archive: Path, tag: str) -> None:
    """Make an image from an archived root file system."""
    if builder != "buildah":
        output(builder, "import", archive, tag)
        return
    container = output("buildah", "from", "scratch")
    output("buildah", "add", container, archive)
    output("buildah", "commit", container, tag)
    output("buildah", "rm", container)


def run_once(builder: str, image: str, *command: str) -> str:
    """Run a command in a new container; return its output."""
    if can_run(builder, image):
        entry, *rest = command
        return output(builder, "run", "--rm", "--network=none", "--entrypoint", entry, image, *rest)
    mounted = Mounted(builder, image)
    config = mounted.config
    environment = ("/usr/bin/env", "-i", "-C", config["WorkingDir"], *config["Env"])
    try:
        return output("chroot", "--userspec", config["User"], mounted.root, *environment, *command)
    finally:
        mounted.remove()


def image_bytes(builder: str, tag: str) -> int:
    """Return the size of an image's unpacked layers."""
    if builder != "buildah":
        return int(output(builder, "image", "inspect", "--format", "{{.Size}}", tag))
    (found,) = json.loads(output("buildah", "images", "--json", tag))
    number, unit = found["size"].split()
    return int(float(number) * {"MB": 1e6, "GB": 1e9}[unit])
