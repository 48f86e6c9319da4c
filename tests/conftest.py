"""What the tests share: a simulated sky, and a real if small model fitted to it."""

import fcntl
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from outcrop import Spectra, read_spectra
from outcrop._remote import http_source
from outcrop.desi import Petal, find_petals
from tests.outcrop_sdk.file_server import FileServer
from training.sky.petals import simulate

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"
RECIPE = ROOT / "tests" / "tiny.toml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long the tests that need a sky or a fitted model: `make test-fast` omits them."""
    made = {"sky", "odd_sky", "bundle"}
    for item in items:
        if made.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.long)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project from its root, as a user would; its output is kept."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run`, for tests of the command lines."""
    return run


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out until the block ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], object]], Path]:
    """A function that makes a folder by name, once for all processes that run the tests."""
    base = tmp_path_factory.getbasetemp()
    # With pytest-xdist each process has a folder of its own in the folder of the run.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def get(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with locked(shared / f"{name}.lock"):
            if not done.exists():
                make(folder)
                done.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def sky(once: Callable[..., Path]) -> Path:
    """Four petals of inliers; beside them truth.csv, which a fit must never read."""
    return once("sky", lambda folder: simulate(folder, petals=4, seed=1))


@pytest.fixture(scope="session")
def odd_sky(once: Callable[..., Path]) -> Path:
    """One petal of another seed, a tenth of its targets injected anomalies."""
    return once("odd_sky", lambda folder: simulate(folder, petals=1, seed=2, anomalies=0.1))


@pytest.fixture(scope="session")
def petal(odd_sky: Path) -> Petal:
    """Coadd and redrock file of the odd sky."""
    return find_petals(odd_sky)[0]


@pytest.fixture(scope="session")
def spectra(petal: Petal) -> Spectra:
    """The petal's 500 spectra."""
    return read_spectra(petal.coadd, petal.redrock)


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A recipe that fits in seconds."""
    return RECIPE


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep prepared spectra of the tests out of the repository's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTCROP_CACHE", os.fspath(folder))
        yield folder


@pytest.fixture(scope="session")
def bundle(once: Callable[..., Path], sky: Path) -> Path:
    """The bundle that `fit` makes of the sky, its report beside it."""

    def fit(folder: Path) -> None:
        output = folder / "bundle"
        # In a process of its own: TensorFlow takes seconds to import, and stays.
        done = run("-m", "training", "fit", sky, "--output", output, "--config", RECIPE)
        assert done.returncode == 0, done.stderr

    return once("model", fit) / "bundle"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    """That of a server on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Make clients trust the certificate."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    http_source._trusted.cache_clear()
    yield path
    http_source._trusted.cache_clear()


@pytest.fixture
def secure(certificate: ssl.SSLContext, trusted: Path) -> Iterator[FileServer]:
    """A server over HTTPS, which clients trust."""
    with FileServer(certificate) as server:
        yield server


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real DESI files; tests that need it skip where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"no real DESI files: {REAL} is absent")
    return REAL
