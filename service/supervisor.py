"""Supervisor: the process that `bentoml serve` is; it starts the worker, watches it and stops it.

BentoML lets circus do so: with two TCP ports on loopback, at which every user of the machine can
give commands, such as to start a program; with a day for a worker to stop; and without a word about
a worker that dies. `install` puts `Supervisor` in the place of BentoML's own class.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click
from bentoml._internal.utils import circus
from bentoml.exceptions import BentoMLException
from circus.process import Process
from circus.watcher import Watcher
from tornado.ioloop import IOLoop

from .monitoring import logs
from .settings import Settings

# A worker may take so much longer to stop than a request may last.
_MARGIN_SECONDS = 10
_CHECK_SECONDS = 1
_log = logging.getLogger("service")


def install() -> None:
    """Supervise this process's worker by a `Supervisor`, and log everything as JSON lines.

    To be called in the process of `bentoml serve`, before it starts a worker.
    """
    logs.configure("INFO")
    click.ClickException.show = _log_click_exception
    circus.Arbiter = Supervisor
    # Until circus handles it. The first process of a container would ignore it.
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: object) -> None:
    # An exception, so that the process which tries the model is ended too.
    sys.exit(128 + number)


def _log_click_exception(self: click.ClickException, file: object = None) -> None:
    # BentoML raises it from the error that ends the process.
    _log.error(str(self.__cause__ or self.message))


class Supervisor(circus.Arbiter):
    """Start, watch and stop the worker; accept commands from this process alone.

    Parameters
    ----------
    watchers : sequence of Watcher
        Of the worker; there is one.
    options
        Of circus's Arbiter.
    """

    def __init__(self, watchers: Sequence[Watcher], **options: Any) -> None:
        options["endpoint"] = "inproc://commands"
        options["pubsub_endpoint"] = "inproc://events"
        options["check_delay"] = _CHECK_SECONDS
        super().__init__(watchers, **options)
        self._workers: dict[int, Process] = {}
        for watcher in watchers:
            watcher.graceful_timeout = Settings.read().deadline_seconds + _MARGIN_SECONDS
            watcher.hooks["after_reap"] = self._reaped

    def initialize(self) -> None:
        """Open the port.

        Raises
        ------
        BentoMLException
            If it cannot be opened.
        """
        try:
            super().initialize()
        except OSError as error:
            addresses = ", ".join(each.location for each in self.sockets.values())
            raise BentoMLException(
                f"{addresses} cannot be opened ({error.strerror}); end the process that uses it, "
                "or choose another --host or --port"
            ) from error

    def start(self, cb: Callable[[Any], Any] | None = None) -> None:
        """Start the worker; return when it has been stopped.

        Raises
        ------
        BentoMLException
            If the port cannot be opened, or the worker died and is not to be started again.
        """
        try:
            super().start(cb)
        except RuntimeError as error:
            self._wait_for_forgotten()
            raise BentoMLException(
                "the service ends, because its worker has ended, and BENTOML_CONTAINERIZED leaves "
                "the restart to the container's engine"
            ) from error

    def stop(self) -> None:
        """Close the port, then stop the worker, which finishes its requests."""
        if self._stopping:
            return
        if self._exclusive_running_command is not None:
            # While circus starts a worker it would refuse to stop, and forget that it was asked.
            IOLoop.current().call_later(0.05, self.stop)
            return

        # The worker closes its own copy. Were this one open, new connections would still be made.
        self.sockets.close_all()
        super().stop()

    def reap_processes(self) -> None:
        """Reap the workers that have ended, and log how."""
        watchers = {pid: watcher for watcher in self.watchers for pid in watcher.processes}
        # circus forgets a worker that ends while it counts them. Python reaps what nothing refers
        # to when it starts the next, and how it ended would be lost.
        for watcher in self.watchers:
            self._workers.update(watcher.processes)

        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in watchers:
                    watchers[pid].reap_process(pid, status)
                else:
                    self._log_end(pid, os.waitstatus_to_exitcode(status))

    def _wait_for_forgotten(self) -> None:
        # circus may end while threads of the worker still do.
        for pid in tuple(self._workers):
            with suppress(ChildProcessError):
                _, status = os.waitpid(pid, 0)
                self._log_end(pid, os.waitstatus_to_exitcode(status))

    def _reaped(self, process_pid: int, exit_code: int | None, **_: object) -> None:
        self._log_end(process_pid, exit_code)

    def _log_end(self, pid: int, exit_code: int | None) -> None:
        self._workers.pop(pid, None)
        # uvicorn finishes its requests after SIGTERM, and then dies of it.
        if self._stopping and exit_code in (0, -signal.SIGTERM):
            return
        fields: dict[str, object] = {"pid": pid}
        if exit_code is not None and exit_code < 0:
            fields["signal"] = signal_name(-exit_code)
        else:
            fields["exit_status"] = exit_code
        _log.error("the worker died", extra={"fields": fields})


def signal_name(number: int) -> str:
    """Return a signal's name, such as ``SIGSEGV``; real-time signals have none but their number."""
    return next((each.name for each in signal.Signals if each == number), f"signal {number}")
