"""The first signal stops the work, a second one ends the process, and afterwards none is caught."""

import signal
import subprocess
import sys
import threading

import pytest

from outcrop._signals import stopped_by_signals

_WORK = """
import sys, threading
from outcrop._signals import stopped_by_signals
stop = threading.Event()
with stopped_by_signals(stop.set) as caught:
    print("begun", flush=True)
    stop.wait(60)
    print("stopping", *caught, flush=True)
    if "long" in sys.argv:
        threading.Event().wait(60)
print("ended", flush=True)
"""


def begun(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WORK, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_work_in_order(number: signal.Signals) -> None:
    process = begun()
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert out == f"stopping {int(number)}\nended\n"
    assert process.returncode == 0
    assert "finishing the petals in progress" in error


def test_a_second_signal_ends_the_process_at_once() -> None:
    process = begun("long")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert process.stdout.readline() == f"stopping {int(signal.SIGTERM)}\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert out == ""
    assert process.returncode == -signal.SIGTERM


def test_the_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stopped_by_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_than_the_main_one_catch_nothing() -> None:
    before, found = signal.getsignal(signal.SIGTERM), list[object]()

    def work() -> None:
        with stopped_by_signals(lambda: None) as caught:
            found.append((caught, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [([], before)]
