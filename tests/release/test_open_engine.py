"""An engine that cannot be used is refused, with the remedy, before any petal is submitted."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks.engines import DASK_WORKERS, ROOT, dask, parsl
from outcrop import InputError
from release.executors import ONE_THREAD, open_engine

# What each worker has for its libraries.
THREADS = """
import os, sys
from release.executors import open_engine
with open_engine(sys.argv[1]) as engine:
    print(engine.workers, engine.executor.submit(os.getenv, "OMP_NUM_THREADS").result(90))
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back afterwards what an engine sets for its processes."""
    for name in ONE_THREAD:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def opened(name: str, *prefix: str) -> str:
    """Open an engine in a process of its own; return what that prints, or how it fails."""
    done = subprocess.run(
        [*(prefix or (sys.executable,)), "-c", THREADS, name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("ray", "choose processes"),
        ("", "choose processes"),
        ("dask", "choose processes"),
        ("parsl:", "choose processes"),
        ("processes:0", "give 1 or more"),
        ("processes:two", "give 1 or more"),
        ("mpi:4", "mpiexec -n 3 python -m mpi4py.futures"),
        ("mpi", "mpiexec -n 3 python -m mpi4py.futures"),
        ("dask:absent.json", "a scheduler writes it"),
        ("parsl:absent", "No module named 'absent'"),
        ("parsl:absent.py", "No such file"),
        ("parsl:json", "defines no parsl.Config named config"),
    ],
)
def test_executor_that_is_none_is_refused(name: str, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy), open_engine(name):
        pass


@pytest.mark.parametrize(
    ("name", "package"),
    [("mpi", "mpi4py"), ("dask:tcp://127.0.0.1:1", "distributed"), ("parsl:json", "parsl")],
)
def test_missing_package_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "mpi4py.futures"])

    with pytest.raises(InputError, match=f"{package}.*requirements/release.txt"), open_engine(name):
        pass


def test_configuration_that_fails_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")

    with pytest.raises(InputError, match=r"broken\.py cannot be used: division"):
        open_engine(f"parsl:{path}").__enter__()


@pytest.mark.long
def test_the_advised_environment_of_dask_workers_is_the_one_that_was_measured() -> None:
    advice = " ".join(f"{name}={value}" for name, value in DASK_WORKERS.items())
    assert f"export {advice}\n" in (ROOT / "docs" / "releases.md").read_text()


def test_ranks_have_one_thread_each() -> None:
    prefix = ("mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures")
    assert opened("mpi", *prefix) == "2 1"


@pytest.mark.long
def test_single_rank_is_refused() -> None:
    found = opened("mpi", sys.executable, "-m", "mpi4py.futures")
    assert "there is one rank" in found
    assert "with the mpiexec of MPICH" in found


@pytest.mark.slow
def test_workers_of_parsl_have_one_thread_each(tmp_path: Path) -> None:
    with parsl(tmp_path, workers=1) as name:
        assert opened(name) == "1 1"


@pytest.mark.slow
def test_dask_worker_of_several_threads_is_refused(tmp_path: Path) -> None:
    with dask(tmp_path, 1, "--nthreads", "2") as name:
        assert "has 2 threads; start it with --nthreads 1" in opened(name)


@pytest.mark.long
def test_dask_without_the_code_is_refused(tmp_path: Path) -> None:
    with dask(tmp_path, 1, folder_of_code=tmp_path) as name:
        found = opened(name)
    assert "the scheduler cannot import Outcrop: No module named 'release'" in found
    assert "PYTHONPATH" in found


@pytest.mark.slow
def test_server_that_is_no_scheduler_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection = server.accept()[0]
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)

        thread = threading.Thread(target=answer)
        thread.start()
        found = opened(f"dask:tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join()

    assert "no scheduler answers there" in found
