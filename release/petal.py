"""Petal: the unit of work of a release, one coadd and its score table.

`score_planned` is what executors run, in any process on any node: it reads the petal, scores it
and writes its table completely or not at all. A petal with a current table is not read.
"""

import contextlib
import ctypes
import errno
import faulthandler
import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, TextIO

import numpy as np

from model_store.bundle import Bundle, BundleError
from outcrop import OutcropError, Petal
from outcrop._fits import FitsFile
from outcrop.errors import ConnectionFailed, StatusError, Timeout
from outcrop.night.tables import is_table_of, make_table
from outcrop.remote import fetch, fingerprint

from .journal import AGAIN, BEGUN, CURRENT, FAILED, SCORED, Event, Journal, own_name, read_events

if TYPE_CHECKING:
    from .model import ReleaseModel

logger = logging.getLogger(__name__)

UNUSABLE: Final = "unusable"
"""State of a petal that was not scored because no petal can be: the disk is full, or the model
cannot be opened."""

# Of <malloc.h>; a larger threshold is refused before version 2.35.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_ARRAY: Final = 32 << 20
_KEPT: Final = 1 << 30

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass(frozen=True)
class ScoringOptions:
    """How the petals of a release are scored.

    Attributes
    ----------
    bundle : str
        Folder of the model, which all processes see.
    sha256 : str
        Checksum of its manifest.
    noise_correction : bool
        Whether the noise of petals is corrected by `outcrop.correct_noise`.
    explained : bool
        Whether the flagged spectra are explained.
    allow_mismatch : bool
        As in `outcrop.read_spectra`.
    """

    bundle: str
    sha256: str
    noise_correction: bool = True
    explained: bool = False
    allow_mismatch: bool = False


@dataclass(frozen=True)
class PetalTask:
    """A petal that is to be scored.

    Attributes
    ----------
    name : str
        Path of the coadd in the plan.
    coadd, redrock : str
        Paths or addresses of the files.
    output : str
        The release's folder, which all processes see.
    options : ScoringOptions
    """

    name: str
    coadd: str
    redrock: str
    output: str
    options: ScoringOptions

    @property
    def table(self) -> Path:
        """Path of the score table."""
        path = PurePosixPath(self.name)
        name = path.name.removeprefix("coadd").removesuffix(".gz")
        return Path(self.output, path.parent, f"outliers{name}")

    @property
    def log(self) -> Path:
        """Path of the log."""
        path = PurePosixPath(self.name)
        name = path.name.removesuffix(".gz").removesuffix(".fits")
        return Path(self.output, "run", "logs", path.parent, f"{name}.log")


@dataclass(frozen=True)
class PetalResult:
    """The result of a petal.

    Attributes
    ----------
    name : str
        Path of the coadd in the plan.
    state : str
        ``scored``, ``current``, ``failed``, or `UNUSABLE`.
    spectra, flagged, eligible : int
    seconds : float
    message : str
        Why it was not scored.
    foreign : bool
        Whether the model is of a simulated sky, and the petal, the first of its process, is not.
    unreachable : bool
        Whether it failed because the server with its files did not answer, or failed.
    """

    name: str
    state: str
    spectra: int = 0
    flagged: int = 0
    eligible: int = 0
    seconds: float = 0.0
    message: str = ""
    foreign: bool = False
    unreachable: bool = False


def score_planned(task: PetalTask) -> PetalResult:
    """Score a petal, unless its table is current.

    The journal says when it is begun and how it ends. A petal that cannot be scored is a result
    too; nothing is raised for it.
    """
    begun = time.monotonic()
    try:
        model = _model(task.options.bundle, task.options.sha256)
        rows = _current_rows(task, model)
        if rows is not None:
            return PetalResult(task.name, CURRENT, rows)

        journal = _journal(task.output)
        journal.write(Event(BEGUN, task.name))
        with _logged(task) as log:
            result = _score(task, model, begun)
            print(_described(result), file=log)
        # One that was not scored for want of room has ended no process.
        state = AGAIN if result.state == UNUSABLE else result.state
        journal.write(
            Event(
                *(state, task.name, result.spectra, result.flagged, result.eligible),
                *(result.seconds, _peak_memory(), result.message),
            )
        )
        return result
    except BundleError as error:
        message = f"the model cannot be opened on {socket.gethostname()}: {error}"
        return PetalResult(task.name, UNUSABLE, message=message)
    except OSError as error:
        # Those of reading are results: what is left is journal and log.
        return _unusable(task, error)


def _score(task: PetalTask, model: "ReleaseModel", begun: float) -> PetalResult:
    try:
        _remove_remains(task)
        with fetch(task.redrock) as redrock, fetch(task.coadd) as coadd:
            foreign = model.warn_once(coadd)
            scores = make_table(
                *(task.table, Petal(coadd, redrock), model.model, model),
                task.options.allow_mismatch,
                task.options.noise_correction,
                task.options.explained,
            )
    except (OutcropError, OSError, MemoryError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return _unusable(task, error)
        unreachable = isinstance(error, ConnectionFailed | Timeout | StatusError)
        message = str(error) or type(error).__name__
        return PetalResult(task.name, FAILED, message=message, unreachable=unreachable)
    except Exception as error:
        logger.exception("unexpected")
        return PetalResult(
            task.name,
            FAILED,
            message=f"{task.coadd} or {task.redrock}: unexpected {type(error).__name__}: {error}; "
            f"report it with the file and {task.log}",
        )

    flagged = int(np.count_nonzero(scores.anomaly))
    seconds = round(time.monotonic() - begun, 3)
    eligible = int(np.count_nonzero(scores.eligible))
    return PetalResult(task.name, SCORED, len(scores), flagged, eligible, seconds, foreign=foreign)


def _current_rows(task: PetalTask, model: "ReleaseModel") -> int | None:
    """Return the number of rows of the table where that is current, else None."""
    if not task.table.exists():
        return None
    options = task.options
    try:
        # Of remote files only the fingerprints are asked for.
        files = fingerprint(task.coadd), fingerprint(task.redrock)
        if not is_table_of(
            *(task.table, files, model.model, options.noise_correction, options.explained)
        ):
            return None
        with FitsFile(task.table) as file:
            return int(file.header("OUTLIERS")["NAXIS2"])
    except OutcropError:
        # The table is made again, or that says what is wrong.
        return None


@functools.cache
def _model(bundle: str, sha256: str) -> "ReleaseModel":
    # Its imports take seconds, and who submits petals does not need them.
    from .model import ReleaseModel

    _keep_memory()
    opened = Bundle.open(bundle)
    if opened.sha256 != sha256:
        raise BundleError(
            f"{bundle} has sha256 {opened.sha256[:8]}, the run began with {sha256[:8]}; run again"
        )
    return ReleaseModel(opened)


def _peak_memory() -> int:
    """Return the most memory that this process has had, MB; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1000
    return 0


def _keep_memory() -> None:
    """Let the C library keep the memory of one petal for the next, instead of asking anew.

    The pages of new memory are set to zero by the kernel, which takes as long as reading them.
    """
    # Other libraries than GNU's have no mallopt.
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_ARRAY)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)


@functools.cache
def _journal(output: str) -> Journal:
    return Journal(Path(output))


def _unusable(task: PetalTask, error: Exception) -> PetalResult:
    # Ours name the file, which may be in the cache of remote files.
    own = isinstance(error, OutcropError)
    text = str(error) if own else f"{task.output} cannot be written to: {error}"
    message = f"on {socket.gethostname()}: {text}; free space or raise the quota, and run again"
    return PetalResult(task.name, UNUSABLE, message=message)


def _remove_remains(task: PetalTask) -> None:
    """Remove what processes that were killed have left of a table.

    Dask begins a petal anew where it has lost sight of a worker, which may be writing the table.
    """
    found = list(task.table.parent.glob(f".{task.table.name}.*.tmp"))
    if not found:
        return
    begun = {e.process for e in read_events(Path(task.output)) if e.petal == task.name}
    if not any(map(_may_live, begun - {own_name()})):
        for remains in found:
            remains.unlink(missing_ok=True)


def _may_live(process: str) -> bool:
    """Return whether a process of the journal may be running, here or on another host."""
    host, _, number = process.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def _logged(task: PetalTask) -> Generator[TextIO]:
    """Append what this thread logs to the petal's log, and the stack where the process crashes."""
    task.log.parent.mkdir(parents=True, exist_ok=True)
    thread = threading.get_ident()
    with task.log.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        print(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, process {os.getpid()} on "
            f"{socket.gethostname()}: {task.coadd}",
            file=stream,
            flush=True,
        )
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(levelname)s: %(name)s: %(message)s"))
        handler.addFilter(lambda record: record.thread == thread)
        logging.getLogger().addHandler(handler)
        watched = not faulthandler.is_enabled()
        if watched:
            faulthandler.enable(stream)
        try:
            yield stream
        finally:
            if watched:
                faulthandler.disable()
            logging.getLogger().removeHandler(handler)


def _described(result: PetalResult) -> str:
    if result.state == SCORED:
        return f"{result.spectra} spectra, {result.flagged} anomalies, {result.seconds:.2f} s"
    return f"{result.state}: {result.message}"
