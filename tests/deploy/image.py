"""The image, built and run as a cluster runs it: `make test-image`, which takes minutes."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
import pytest
import yaml

from deploy import sbom
from deploy.image import BUILDERS, RELEASE, build, find_builder
from model_store.bundle import Bundle
from outcrop import Client, Spectra
from scoring.scorer import Scorer
from tests.deploy.containers import (
    ROOT,
    Chroot,
    Container,
    Engine,
    can_chroot,
    can_run,
    image_bytes,
    load,
    output,
    run_once,
)
from tests.service.conftest import free_port

pytestmark = pytest.mark.timeout(3600)
IMAGE = "localhost/outcrop:test"
MODEL_IMAGE = "localhost/outcrop-model:test"
RELEASE_IMAGE = "localhost/outcrop-release:test"
STAND_IN = "localhost/outcrop-base:stand-in"
TOKEN = "for-this-test-only"
_UNWANTED = ("doc", "locale", "man")


# Autouse and session scope: it skips the tests before a model is trained.
@pytest.fixture(scope="session", autouse=True)
def builder() -> str:
    found = find_builder()
    if found is None:
        pytest.skip(f"no image is built: none of {', '.join(BUILDERS)} works on this machine")
    if found == "buildah" and not can_chroot(found):
        pytest.skip("no image is built: only root can run images of buildah")
    return found


@pytest.fixture(scope="module")
def base(builder: str) -> str:
    """The Dockerfile's base image, or Debian's Python if that cannot be pulled."""
    named = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert named is not None
    pulled = subprocess.run([builder, "pull", named[1]], capture_output=True, check=False)
    if pulled.returncode == 0:
        return named[1]
    if shutil.which("mmdebstrap") is None:
        pytest.skip(f"no image is built: {named[1]} cannot be pulled, and there is no mmdebstrap")
    archive = ROOT / ".cache" / "base.tar"
    if not archive.exists():
        _debian(archive)
    load(builder, archive, STAND_IN)
    return STAND_IN


def _debian(archive: Path) -> None:
    """Pack a small Debian of this machine's release, from this machine's package sources."""
    sources = archive.with_suffix(".list")
    line = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    of = ("Created-By: Packages", "Origin: Debian")
    sources.write_text(output("apt-get", "indextargets", "--format", line, *of) + "\n")
    unfinished = archive.with_suffix(".part.tar")
    output(
        *("mmdebstrap", "--variant=minbase", "--include=python3,python3-venv"),
        # Without it, a package that depends on Perl merges /bin and /usr/bin.
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _UNWANTED),
        *("", unfinished, sources),
    )
    unfinished.rename(archive)


@pytest.fixture(scope="module")
def image(builder: str, base: str) -> str:
    build(builder, IMAGE, base=base)
    return IMAGE


@pytest.fixture(scope="module")
def model_image(builder: str, base: str, image: str, bundle: Path) -> str:
    """The image with a model inside, from a folder in the build context."""
    models = ROOT / "models"
    models.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models) as folder:
        shutil.copytree(bundle, folder, dirs_exist_ok=True)
        build(builder, MODEL_IMAGE, base=base, model=str(Path(folder).relative_to(ROOT)))
    if not any(models.iterdir()):
        models.rmdir()
    return MODEL_IMAGE


@dataclass(frozen=True)
class Running:
    container: Container
    url: str
    url_inside: str
    """Address of the service for a process in the container."""
    seconds: float
    """Time from the container's start until it was ready."""


@pytest.fixture(scope="module")
def running(
    builder: str,
    image: str,
    bundle: Path,
    odd_sky: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("container")
    secret = folder / "secret"
    secret.mkdir()
    (secret / "tokens").write_text(TOKEN)

    port = free_port()
    folders = {bundle: "/model", secret: "/run/outcrop", odd_sky: "/data"}
    threads = str(len(os.sched_getaffinity(0)))
    env = {"OUTCROP_TOKENS_FILE": "/run/outcrop/tokens", "OUTCROP_THREADS": threads}

    url = url_inside = f"http://127.0.0.1:{port}"
    started = time.monotonic()
    if can_run(builder, image):
        container = Engine(builder, image, port, folders, env)
        url_inside = "http://127.0.0.1:3000"
    elif can_chroot(builder):
        container = Chroot(builder, image, port, folders, env, folder / "log")
    else:
        pytest.skip(f"{builder} builds the image but cannot run it; as root it runs in a chroot")

    try:
        while not _is_ready(url):
            if time.monotonic() - started > 120:
                pytest.fail(f"the container did not become ready:\n{container.log()}")
            time.sleep(0.05)
        yield Running(container, url, url_inside, time.monotonic() - started)
    finally:
        container.remove()


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz").status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


def test_it_is_smaller_than_600_megabytes(builder: str, image: str) -> None:
    size = image_bytes(builder, image)
    print(f"unpacked, the image has {size / 1e6:.0f} MB")  # noqa: T201 (shown by the target)
    assert size < 600e6


def test_a_model_inside_the_image_is_complete_and_readable(
    builder: str, model_image: str, bundle: Path
) -> None:
    printed = run_once(builder, model_image, "python", "-m", "model_store", "verify", "/model")
    assert Bundle.open(bundle).sha256 in printed


_REVIEW = """
from pathlib import Path
from review import __main__, app, bundled_model
print(all((app.PACKAGES / name).is_file() for name in app._VENDOR.values()))
print((app.STATIC / "index.html").is_file())
print(all(Path(one.__cached__).is_file() for one in (__main__, app, bundled_model)))
"""


def test_the_image_of_a_release_runs_in_any_folder_and_has_no_mpi(builder: str, base: str) -> None:
    build(builder, RELEASE_IMAGE, base=base, target=RELEASE)

    code = (
        "import os; os.chdir('/'); import mpi4py, pyarrow.dataset, s3fs, release.petal; "
        "from importlib.util import find_spec; "
        "print([bool(find_spec(name)) for name in ('distributed', 'parsl', 'mpich')]); "
        "print(len(os.listdir(os.environ['NUMBA_CACHE_DIR'])) > 0)"
    )
    entry = ("/bin/sh", "/app/start-release.sh", "python")
    assert run_once(builder, RELEASE_IMAGE, *entry, "-c", code).split("\n")[:2] == [
        "[True, True, False]",
        "True",
    ]
    assert "collect" in run_once(builder, RELEASE_IMAGE, *entry, "-m", "release", "--help")


def test_the_review_is_inside_with_its_packages(builder: str, image: str) -> None:
    printed = run_once(builder, image, "python", "-c", _REVIEW)
    assert printed.split() == ["True", "True", "True"]


def test_it_runs_without_root_and_cannot_gain_privileges(running: Running) -> None:
    status = dict(re.findall(r"^(\w+):\t(.*)$", running.container.status(), re.M))
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {int(status[name], 16) for name in sets} == {0}
    assert status["NoNewPrivs"] == "1"


def test_only_tmp_is_writable(running: Running) -> None:
    for folder in ("/", "/app", "/venv", "/model", "/var/tmp"):  # noqa: S108
        done = running.container.run(f"touch {folder}/new")
        assert "Read-only file system" in done.stderr
    assert running.container.run("touch /tmp/new").returncode == 0


def test_it_scores_as_the_scorer_in_process_does(
    running: Running, bundle: Path, spectra: Spectra
) -> None:
    few = spectra[:20]
    with Client(running.url, token=TOKEN) as client:
        scores = client.score(few)
    expected = Scorer.open(bundle).score(few)
    np.testing.assert_array_equal(scores.status, expected.status)
    assert np.isfinite(scores.wmse).any()
    # The image's machine code is for x86-64-v3, that of this process for its CPU.
    np.testing.assert_allclose(scores.wmse, expected.wmse, rtol=1e-3)
    np.testing.assert_allclose(scores.nof, expected.nof, rtol=1e-3)


def test_the_nights_job_scores_the_petals_of_a_volume_with_the_image(running: Running) -> None:
    manifest = yaml.safe_load((ROOT / "deploy/k8s/components/night/cronjob.yaml").read_text())
    (night,) = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    shell, option, script = night["command"]
    assert (shell, option) == ("/bin/sh", "-euc")

    environment = f"PATH=/venv/bin:$PATH HOME=/tmp OUTCROP_URL={running.url_inside}"
    # The test has no volume for the tables.
    script = script.replace("/tables", "/tmp/tables")  # noqa: S108
    done = running.container.run(f"export {environment}\nset -eu\n{script}")
    assert done.returncode == 0, done.stderr
    assert (
        running.container.run("find /tmp/tables -name 'outliers-*.fits' | grep .").returncode == 0
    )


def test_the_sbom_lists_exactly_the_installed_packages(running: Running) -> None:
    listing = (
        "from importlib.metadata import distributions as all\n"
        "for each in all(): print(each.name.lower().replace('_', '-'), each.version)"
    )
    done = running.container.run(f'/venv/bin/python -c "{listing}"')
    installed = dict(line.split() for line in done.stdout.splitlines())
    bom = json.loads(sbom.render(sbom.REQUIREMENTS.read_text()))
    assert {each["name"]: each["version"] for each in bom["components"]} == installed


def test_requests_without_a_token_are_rejected(running: Running) -> None:
    assert httpx2.get(f"{running.url}/model").status_code == httpx2.codes.UNAUTHORIZED


def test_all_compiled_code_is_in_the_image(running: Running) -> None:
    print(f"ready {running.seconds:.1f} s after its start")  # noqa: T201 (shown by the target)
    names = "find . -name '*.nb?' | sort"
    shipped = running.container.run(f"cd /app/numba && {names}").stdout
    used = running.container.run(f"cd /tmp/numba && {names}").stdout
    assert shipped == used
    assert shipped.count(".nbc") > 0


def test_it_has_no_compiler_and_no_training_library(running: Running) -> None:
    for absent in ("cc", "gcc", "uv", "tensorflow", "sklearn"):
        find = f"command -v {absent} || find /venv -maxdepth 4 -name {absent} | grep ."
        assert running.container.run(find).returncode == 1, absent


def test_it_drains_and_then_exits_with_status_0(running: Running) -> None:
    assert running.container.run("touch /tmp/drain").returncode == 0
    assert httpx2.get(f"{running.url}/readyz").status_code == httpx2.codes.SERVICE_UNAVAILABLE
    assert httpx2.get(f"{running.url}/livez").status_code == httpx2.codes.OK
    assert running.container.stop() == 0
    assert '"message": "stopped"' in running.container.log()
