"""The process of `bentoml serve` has one port, restarts its worker, and ends when it is asked."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from service.supervisor import signal_name
from tests.conftest import ROOT
from tests.service.conftest import ServedProcess, free_port, serving, starting
from tests.service.helpers import wait_for

pytestmark = pytest.mark.long

# A worker whose first thread has ended is a zombie that cannot be reaped yet. Here it ends between
# circus's count of the workers and the start of the next.
_FORGOTTEN = """
import os, signal, sys
from circus.watcher import Watcher
from service.monitoring import logs
from service.supervisor import Supervisor

def end(**_):
    while spawned:
        pid = spawned.pop()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return True

def keep(pid, **_):
    spawned.append(pid)
    return True

logs.configure("INFO")
spawned = []
watcher = Watcher("worker", sys.executable, args=["-c", sys.argv[1]], copy_env=True)
supervisor = Supervisor([watcher])
watcher.hooks |= {"before_spawn": end, "after_spawn": keep}
supervisor.start()
"""
_END_OF_FIRST_THREAD = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)
"""


def test_it_listens_on_the_port_of_http_and_on_nothing_else(served: ServedProcess) -> None:
    supervisor = psutil.Process(served.process.pid)
    sockets = [
        each
        for process in (supervisor, *supervisor.children(recursive=True))
        for each in process.net_connections("all")
    ]
    ports = {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
    assert ports == {int(served.url.rpartition(":")[2])}
    assert not [each for each in sockets if each.type == socket.SOCK_DGRAM]
    # Unix sockets without a path are pairs, which no other process can reach.
    assert not [each for each in sockets if each.family == socket.AF_UNIX and each.laddr]


def test_a_worker_that_dies_is_logged_with_its_signal_and_replaced(
    bundle: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, OUTCROP_MODEL=str(bundle)) as served:
        for number in (signal.SIGSEGV, signal.SIGKILL):
            worker = served.worker
            worker.send_signal(number)
            worker.wait(timeout=60)
            wait_for(lambda name=number.name: name in served.log.read_text())
            line = served.lines()[-1]
            assert (line["level"], line["message"]) == ("error", "the worker died")
            assert (line["pid"], line["signal"]) == (worker.pid, number.name)
            served.wait_until_ready()
        assert served.stop() == 0


@pytest.mark.timeout(60)
def test_the_end_of_a_worker_is_logged_though_circus_has_forgotten_it() -> None:
    command = [sys.executable, "-c", _FORGOTTEN, _END_OF_FIRST_THREAD]
    variables = os.environ | {"OUTCROP_MODEL": "none"}
    supervisor = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    try:
        line = json.loads(supervisor.stdout.readline())
        assert (line["message"], line["signal"]) == ("the worker died", "SIGKILL")
    finally:
        # It must neither start nor reap a worker meanwhile.
        supervisor.send_signal(signal.SIGSTOP)
        for worker in psutil.Process(supervisor.pid).children():
            worker.kill()
        supervisor.kill()
        supervisor.communicate()


def test_a_worker_that_cannot_start_is_logged_each_time_with_the_reason(
    bundle: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("for-this-test-only\n")
    variables = {"OUTCROP_MODEL": str(bundle), "OUTCROP_TOKENS_FILE": str(tokens)}
    with serving(tmp_path, **variables) as served:
        tokens.unlink()
        served.worker.kill()
        wait_for(lambda: served.log.read_text().count('"exit_status": ') == 2)
        lines = served.lines()
        assert served.stop() == 0
    deaths = [n for n, line in enumerate(lines) if line.get("exit_status") == 3]
    for first, last in zip([0, deaths[0] + 1], deaths, strict=True):
        assert any("OUTCROP_TOKENS_FILE" in str(line) for line in lines[first:last])


def test_in_a_container_it_ends_with_its_worker(bundle: Path, tmp_path: Path) -> None:
    with serving(tmp_path, OUTCROP_MODEL=str(bundle), BENTOML_CONTAINERIZED="true") as served:
        served.worker.kill()
        assert served.process.wait(timeout=60) == 1
    died, ends = served.lines()[-2:]
    assert died["signal"] == "SIGKILL"
    assert "its worker has ended" in ends["message"]


def test_a_port_in_use_is_named(bundle: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with starting(tmp_path, port=port, OUTCROP_MODEL=str(bundle)) as served:
            assert served.process.wait(timeout=120) == 1
    assert f"127.0.0.1:{port} cannot be opened (Address already" in served.lines()[-1]["message"]
    assert {line["level"] for line in served.lines()} == {"error"}


def test_a_sigterm_while_the_model_is_tried_is_obeyed(bundle: Path, tmp_path: Path) -> None:
    with starting(tmp_path, port=free_port(), OUTCROP_MODEL=str(bundle)) as served:
        supervisor = psutil.Process(served.process.pid)
        # Until the child has become the trial, its parent cannot end it.
        own = supervisor.cmdline()
        wait_for(lambda: any(child.cmdline() != own for child in supervisor.children()))
        (trial,) = supervisor.children()
        assert served.stop() == 128 + signal.SIGTERM
        assert not trial.is_running()
    assert served.lines() == []


def is_handled_by_circus(process: psutil.Process) -> bool:
    """Whether circus has set its handlers, of which that of SIGWINCH is the last."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGWINCH - 1) & 1)


def test_a_sigterm_while_it_starts_its_worker_is_obeyed(bundle: Path, tmp_path: Path) -> None:
    with starting(tmp_path, port=free_port(), OUTCROP_MODEL=str(bundle)) as served:
        process = psutil.Process(served.process.pid)
        deadline = time.monotonic() + 120
        while not is_handled_by_circus(process):
            assert time.monotonic() < deadline
        assert served.stop() == 0
    served.lines()


@pytest.mark.parametrize(("number", "name"), [(11, "SIGSEGV"), (40, "signal 40")])
def test_signals_have_names(number: int, name: str) -> None:
    assert signal_name(number) == name
