"""Night: have every petal below a folder scored, whatever happens to some of them.

The pipeline's petals are found, those without a current score table are scored several at a time,
and the tables are counted. So a night that was stopped goes on where it was when it is run again,
and a reprocessed coadd or another model has its petals scored anew. The tables mirror the tree of
the coadds.

A petal that cannot be scored is noted and the night goes on. A service that is away or busy is
waited for. Where it does not come back, refuses the caller or changes its model, the night ends.

In memory are at most as many petals as there are workers.
"""

import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from .._constants import POLL
from ..client import Client
from ..desi import warn_if_simulated
from ..errors import InputError, OutcropError, Unauthorized
from ..fingerprint import Stamp
from ..model import Model
from ..petals import Petal, find_petals
from .retries import Patient
from .summary import Summary
from .tables import ModelChanged, is_current, make_table

logger = logging.getLogger(__name__)


class Night:
    """The petals below a folder, and their score tables below another.

    Parameters
    ----------
    root : path
        Searched for pairs of coadd and redrock files, in any of DESI's layouts.
    output : path
        Made if missing. Below it the tables, ``outliers-*.fits``, where the coadds are below
        `root`; in it the summary's files.
    client : Client
        Its timeout is for a chunk of up to 500 spectra.
    workers : int
        Petals at a time, and so the most that are in memory.

    Attributes
    ----------
    summary : Summary or None
        Of the last look at the petals.
    text : str
        The same for people.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        output: str | os.PathLike[str],
        client: Client,
        workers: int,
    ) -> None:
        self.root, self.output = Path(root), Path(output)
        self.summary: Summary | None = None
        self.text = ""
        # Set while nothing more is to be begun or waited for.
        self._over = threading.Event()
        self._stopped = False
        self._client = client
        self._patient = Patient(client, self._over)
        self._workers = workers
        self._scored = 0
        self._failures: dict[Petal, str] = {}
        self._warned = False
        self._lock = threading.Lock()

    def table(self, petal: Petal) -> Path:
        """Return where a petal's score table belongs."""
        name = petal.coadd.name.removeprefix("coadd").removesuffix(".gz")
        return self.output / petal.coadd.parent.relative_to(self.root) / f"outliers{name}"

    def stop(self) -> None:
        """Have `run` or `watch` finish the petals in work, sum up and return."""
        self._stopped = True
        self._over.set()

    def run(self) -> None:
        """Score the petals that are there.

        Whatever ends it, petals in work are finished and the summary is written.

        Raises
        ------
        InputError
            Where there are no petals, or `root` or `output` cannot be used.
        OutcropError
            Where the night cannot go on.
        """
        petals = find_petals(self.root)
        if not petals:
            raise InputError(
                f"{self.root} holds no coadd-*.fits with its redrock-*.fits; check the folder"
            )
        self._make_output()
        model = self._client.model()
        try:
            self._score_due(petals, model)
        finally:
            self._sum_up(petals, model)

    def watch(self, poll: float = POLL) -> None:
        """Score the petals that are there and those that come, until stopped.

        A petal is taken when neither of its files has changed since the last look, `poll` seconds
        before. One that is cut off all the same is refused by its reading, noted, and tried again
        at every look, as all that failed. What would end a night is logged, and the next look
        tries again.
        """
        petals = find_petals(self.root)
        self._make_output()
        model = self._client.model()
        before: dict[Petal, tuple[Stamp, Stamp] | None] = {}
        summed_up = None
        while not self._stopped:
            try:
                petals = find_petals(self.root)
                now = {petal: _stamps(petal) for petal in petals}
                settled = [p for p in petals if p in before and before[p] == now[p]]
                before = now
                if settled:
                    model = self._client.model()
                    self._score_due(settled, model)
                state = (petals, self._scored, dict(self._failures))
                if state != summed_up:
                    self._sum_up(petals, model)
                    summed_up = state
            except OutcropError as error:
                logger.error("%s; trying again", error)
            self._over.wait(poll)
        self._sum_up(petals, model)

    def _make_output(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.output} cannot be a folder: {error.strerror}") from error
        if not os.access(self.output, os.W_OK):
            raise InputError(f"{self.output} cannot be written to; choose another folder")

    def _score_due(self, petals: Sequence[Petal], model: Model) -> None:
        due = [petal for petal in petals if not is_current(self.table(petal), petal, model)]
        end: OutcropError | None = None
        with (
            ThreadPoolExecutor(self._workers) as pool,
            logging_redirect_tqdm([logging.getLogger("outcrop")]),
            # disable=None: only on a terminal, where a bar says more than a line for each.
            tqdm(total=len(due), unit=" petals", disable=None) as bar,
        ):
            level = logging.INFO if bar.disable else logging.DEBUG
            futures = {pool.submit(self._handle, petal, model): petal for petal in due}
            for future in as_completed(futures):
                try:
                    self._note(futures[future], future.result(), level)
                except OutcropError as error:
                    end = end or error
                    self._over.set()
                bar.update()
        if end is not None:
            if not self._stopped:
                self._over.clear()
            raise end

    def _handle(self, petal: Petal, model: Model) -> tuple[bool, str] | None:
        """Return whether a petal could be scored, and what there is to say: text, no spectra.

        None where it has not been tried to the end.

        Raises
        ------
        OutcropError
            Where no petal could be scored now.
        """
        if self._over.is_set():
            return None
        try:
            with self._lock:
                self._warned = self._warned or warn_if_simulated(model, petal.coadd)
            scores = make_table(self.table(petal), petal, model, self._patient)
        except (ModelChanged, Unauthorized):
            raise
        except (InputError, OSError, MemoryError) as error:
            return False, str(error) or type(error).__name__
        except OutcropError as error:
            if self._over.is_set():
                return None
            if not self._patient.is_ready():
                raise
            # It scores others.
            return False, str(error)
        return True, (
            f"{len(scores)} spectra, {np.count_nonzero(scores.eligible)} eligible, "
            f"{np.count_nonzero(scores.anomaly)} anomalies"
        )

    def _note(self, petal: Petal, outcome: tuple[bool, str] | None, level: int) -> None:
        if outcome is None:
            return
        scored, said = outcome
        if scored:
            self._scored += 1
            self._failures.pop(petal, None)
            logger.log(level, "%s: %s", petal.coadd, said)
        elif self._failures.get(petal) != said:
            self._failures[petal] = said
            logger.error("%s: %s", petal.coadd.name, said)

    def _sum_up(self, petals: Sequence[Petal], model: Model) -> None:
        summary = Summary(self.root, model, self._scored)
        for petal in petals:
            table = self.table(petal)
            if petal in self._failures:
                summary.failed(petal.coadd, self._failures[petal])
            elif not is_current(table, petal, model):
                summary.waiting(petal.coadd)
            else:
                try:
                    summary.scored(petal.coadd, table)
                except InputError as error:
                    summary.failed(petal.coadd, f"{error}; remove it and run again")
        self.summary = summary
        self.text = summary.write(self.output)


def _stamps(petal: Petal) -> tuple[Stamp, Stamp] | None:
    """Return what the files of a petal are now; None where one is missing."""
    try:
        return petal.stamps()
    except InputError:
        return None
