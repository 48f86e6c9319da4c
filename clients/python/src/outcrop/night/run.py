"""Night: score every petal below a folder, even if some of them fail.

The petals are found, those without a current score table are scored several at a time, their
flagged spectra are explained, and the tables are counted. A night that was stopped continues when
it is run again, and the petals of a reprocessed coadd or of another model are scored again. The
tables mirror the tree of the coadds.

A petal that cannot be scored or explained is recorded and the night continues. Requests to an
unavailable or busy service are retried for minutes. The night ends where the service stays
unavailable or refuses the token.

All tables of a night are of one model. Every response names the model of its scores; where that is
not the expected one, as behind a load balancer while another model is rolled out, the scores are
discarded and the night begins again with the model that is served then.

In memory are at most as many petals as there are workers.
"""

import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from .._constants import NIGHT_RETRY_SECONDS, POLL, ROLLOUT_PAUSE
from .._http.retries import Deadline
from ..client import Client
from ..desi import warn_if_simulated
from ..errors import InputError, ModelChanged, OutcropError, Unauthorized
from ..fingerprint import FileFingerprint
from ..model import Model
from ..noise import warn_of_other_noise
from ..petals import Petal, find_coadds_without_redrock, find_petals, require_petals
from .folder_lock import locked
from .report import check_report, write_report
from .retries import RetryingClient
from .selection import FLAGGED, Selection
from .summary import Summary
from .tables import is_current, make_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The outcome of one petal.

    Attributes
    ----------
    scored : bool
    message : str
        The counts, or the reason of the failure.
    """

    scored: bool
    message: str


class Night:
    """The petals below a folder, and their score tables below another.

    Parameters
    ----------
    roots : sequence of path
        Folders, at least one, that are searched for pairs of coadd and redrock files, in any of
        DESI's layouts.
    output : path
        Made if missing. It holds the summary's files and the tables, ``outliers-*.fits``, in the
        same subfolders as the coadds below `root`.
    client : Client
        Its timeout is for a chunk of up to 500 spectra.
    workers : int
        Petals at a time, and so the most that are in memory.
    selection : Selection
        Of the spectra in the top list.
    allow_mismatch : bool
        As in `read_spectra`.
    noise_correction : bool
        Whether the petals are corrected by `correct_noise`.
    explained : bool
        Whether the flagged spectra are explained, by `explain_flagged`.
    report : bool
        Whether to write ``report.html`` when the night ends.

    Attributes
    ----------
    root : Path
        The only root, or the folder that several have in common.
    summary : Summary or None
        The last one that was written.
    text : str
        The same as text, to be printed.
    """

    def __init__(
        self,
        roots: Sequence[str | os.PathLike[str]],
        output: str | os.PathLike[str],
        client: Client,
        workers: int,
        selection: Selection = FLAGGED,
        allow_mismatch: bool = False,
        noise_correction: bool = True,
        explained: bool = True,
        report: bool = False,
    ) -> None:
        if report:
            check_report()
        self._roots: list[Path] = [Path(root) for root in roots]
        self.root, self.output = self._roots[0], Path(output)
        if len(self._roots) > 1:
            self._roots = [root.resolve() for root in self._roots]
            self.root = Path(os.path.commonpath(self._roots))
        self.summary: Summary | None = None
        self.text = ""
        # Set while no petal is to be begun and no request to be retried.
        self._over = threading.Event()
        self._stopped = False

        self._client = client
        self._retrying_client = RetryingClient(client, self._over)
        self._workers = workers
        self._selection = selection
        self._allow_mismatch = allow_mismatch
        self._noise_correction = noise_correction
        self._explained = explained
        self._report = report
        self._scored = 0
        self._failures: dict[Petal, str] = {}
        self._faults: dict[Path, str] = {}
        self._warned = False
        self._without_metrics = False
        self._lock = threading.Lock()

    def table(self, petal: Petal) -> Path:
        """Return the path of a petal's score table."""
        name = petal.coadd.name.removeprefix("coadd").removesuffix(".gz")
        return self.output / petal.coadd.parent.relative_to(self.root) / f"outliers{name}"

    def stop(self) -> None:
        """Make `run` or `watch` finish the petals in progress, write the summary and return."""
        self._stopped = True
        self._over.set()

    def run(self) -> None:
        """Score the petals that are there.

        However it ends, the petals in progress are finished and the summary is written.

        Raises
        ------
        InputError
            Where there are no petals, or a root or `output` cannot be used.
        FolderInUse
            Where another night works on `output`; `watch` raises it too.
        OutcropError
            Where the night cannot continue.
        """
        petals = require_petals(*self._roots)
        self._make_output()
        with locked(self.output):
            self._run(petals)

    def _run(self, petals: Sequence[Petal]) -> None:
        model = self._retrying_client.model()
        rollout: Deadline | None = None

        try:
            while True:
                try:
                    return self._score_due(petals, model)
                except ModelChanged as error:
                    rollout = rollout or Deadline(NIGHT_RETRY_SECONDS)
                    if self._stopped or rollout.left <= 0:
                        raise
                    logger.warning("%s; the night begins again", error)
                    self._over.wait(ROLLOUT_PAUSE)
                    model = self._retrying_client.model()
        finally:
            self._write_summary(petals, model)
            self._write_report(petals)

    def watch(self, poll: float = POLL) -> None:
        """Score the petals that are there and those that come, until stopped.

        The folder is searched every `poll` seconds. A petal is scored when neither of its files
        has changed since the last search. A file that is incomplete all the same is refused when
        it is read, recorded as a failure, and tried again at every search, as all failures are.
        An error that would end `run` is logged, and the next search tries again.
        """
        petals = self._find()
        self._make_output()
        with locked(self.output):
            self._watch(petals, poll)

    def _watch(self, petals: list[Petal], poll: float) -> None:
        model = self._retrying_client.model()
        seen: dict[Petal, tuple[FileFingerprint, FileFingerprint] | None] = {}
        summarised = None

        while not self._stopped:
            try:
                petals = self._find()
                present = {petal: _fingerprints(petal) for petal in petals}
                settled = [p for p in petals if p in seen and seen[p] == present[p]]
                seen = present
                if settled:
                    model = self._retrying_client.model()
                    self._score_due(settled, model)

                # Write the summary only where something has changed.
                unpaired = self._find_unpaired()
                state = (petals, unpaired, self._scored, dict(self._failures))
                if state != summarised:
                    self._write_summary(petals, model)
                    summarised = state
            except OutcropError as error:
                logger.error("%s; trying again", error)
            self._over.wait(poll)

        self._write_summary(petals, model)
        self._write_report(petals)

    def _is_current(self, petal: Petal, model: Model) -> bool:
        return is_current(self.table(petal), petal, model, self._noise_correction, self._explained)

    def _find(self) -> list[Petal]:
        found = {petal for root in self._roots for petal in find_petals(root)}
        return sorted(found, key=lambda petal: petal.redrock)

    def _find_unpaired(self) -> list[Path]:
        return sorted({c for root in self._roots for c in find_coadds_without_redrock(root)})

    def _make_output(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.output} cannot be a folder: {error.strerror}") from error
        if not os.access(self.output, os.W_OK):
            raise InputError(f"{self.output} cannot be written to; choose another folder")

    def _score_due(self, petals: Sequence[Petal], model: Model) -> None:
        """Score the petals without a current table; OutcropError where the night cannot go on."""
        warn_of_other_noise(model.identity, model.noise_correction, self._noise_correction)
        due = [petal for petal in petals if not self._is_current(petal, model)]
        fatal: OutcropError | None = None

        with (
            ThreadPoolExecutor(self._workers) as pool,
            logging_redirect_tqdm([logging.getLogger("outcrop")]),
            # disable=None: only on a terminal, where a bar replaces a log line for each petal.
            tqdm(total=len(due), unit=" petals", disable=None) as bar,
        ):
            level = logging.INFO if bar.disable else logging.DEBUG
            futures = {pool.submit(self._score, petal, model): petal for petal in due}
            for future in as_completed(futures):
                try:
                    self._record(futures[future], future.result(), level)
                except OutcropError as error:
                    fatal = fatal or error
                    self._over.set()
                bar.update()

        if fatal is not None:
            if not self._stopped:
                self._over.clear()
            raise fatal

    def _score(self, petal: Petal, model: Model) -> Outcome | None:
        """Score one petal; None where the night ended before.

        Raises
        ------
        OutcropError
            Where no petal can be scored now.
        """
        if self._over.is_set():
            return None

        try:
            self._warn_once_if_simulated(model, petal)
            scores = make_table(
                self.table(petal),
                petal,
                model,
                self._retrying_client,
                self._allow_mismatch,
                self._noise_correction,
                self._explained,
            )
        except (ModelChanged, Unauthorized):
            raise
        except (InputError, OSError, MemoryError) as error:
            return Outcome(False, str(error) or type(error).__name__)
        except OutcropError as error:
            if self._over.is_set():
                return None
            if not self._retrying_client.is_ready():
                raise
            # A service that is ready refuses this petal alone.
            return Outcome(False, str(error))
        except Exception as error:
            logger.debug("%s", petal.coadd, exc_info=True)
            return Outcome(
                False,
                f"{petal.coadd} or {petal.redrock}: unexpected {type(error).__name__}: {error}; "
                "report it with the file",
            )

        return Outcome(
            True,
            f"{len(scores)} spectra, {np.count_nonzero(scores.eligible)} eligible, "
            f"{np.count_nonzero(scores.anomaly)} anomalies",
        )

    def _warn_once_if_simulated(self, model: Model, petal: Petal) -> None:
        with self._lock:
            self._warned = self._warned or warn_if_simulated(model, petal.coadd)

    def _record(self, petal: Petal, outcome: Outcome | None, level: int) -> None:
        if outcome is None:
            return
        if outcome.scored:
            self._scored += 1
            self._failures.pop(petal, None)
            logger.log(level, "%s: %s", petal.coadd, outcome.message)
        elif self._failures.get(petal) != outcome.message:
            self._failures[petal] = outcome.message
            logger.error("%s: %s", petal.coadd.name, outcome.message)

    def _write_summary(self, petals: Sequence[Petal], model: Model) -> None:
        summary = Summary(self.root, model, self._scored, self._selection)
        for petal in petals:
            table = self.table(petal)
            if petal in self._failures:
                summary.failed(petal.coadd, self._failures[petal])
            elif not self._is_current(petal, model):
                summary.waiting(petal.coadd)
            else:
                try:
                    summary.scored(petal.coadd, table)
                except InputError as error:
                    summary.failed(petal.coadd, f"{error}; remove it and run again")
        for coadd in self._find_unpaired():
            summary.unpaired(coadd)

        self.summary = summary
        self.text = summary.write(self.output)
        self._write_metrics(summary)
        self._warn_of_faults(summary)

    def _write_metrics(self, summary: Summary) -> None:
        """Write the night for Prometheus; where prometheus_client is missing, say so once."""
        try:
            from .metrics import NightMetrics
        except ImportError as error:
            if not self._without_metrics:
                logger.warning(
                    "no metrics.prom: it needs prometheus_client (%s); "
                    "pip install prometheus-client",
                    error,
                )
            self._without_metrics = True
            return
        path = NightMetrics(summary.entries, summary.model).write(self.output)
        self.text = f"{self.text}, {path}"

    def _write_report(self, petals: Sequence[Petal]) -> None:
        if self._report:
            path = write_report(self.output, petals, self._client, self._noise_correction)
            self.text = f"{self.text}, {path}"

    def _warn_of_faults(self, summary: Summary) -> None:
        """Log what is set apart, of each petal only what is new."""
        found = {entry.coadd: entry.set_apart for entry in summary.entries if entry.set_apart}
        for coadd, reason in found.items():
            if self._faults.get(coadd) != reason:
                logger.warning("%s: set apart, no discoveries: %s", coadd, reason)
        self._faults = found


def _fingerprints(petal: Petal) -> tuple[FileFingerprint, FileFingerprint] | None:
    """Return those of a petal's files as they are now; None where one is missing."""
    try:
        return petal.fingerprints()
    except InputError:
        return None
