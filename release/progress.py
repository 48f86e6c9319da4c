"""Progress: how far a run is, how fast, and how long it will take."""

import logging
import time
from types import TracebackType
from typing import Any, Final

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from outcrop.plan import Plan

from .journal import SCORED
from .petal import PetalResult

logger = logging.getLogger(__name__)

_PAUSE: Final = 60.0  # s, between log lines where there is no terminal


class Progress:
    """A bar on a terminal, a log line each minute elsewhere; a context manager.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        # Not all plans know the number of spectra.
        known = all(petal.spectra >= 0 for petal in plan.petals)
        self._weights = {one.coadd: one.spectra if known else 1 for one in plan.petals}
        self._unit = " spectra" if known else " petals"
        self._left = sum(self._weights.values())
        self._scored = self._spectra = self._ended = self._failed = 0
        self._redirected: Any = logging_redirect_tqdm()

    def __enter__(self) -> "Progress":
        self._redirected.__enter__()
        self._begun = self._shown = time.monotonic()
        # disable=None: only on a terminal. What is scored already is not counted.
        self._bar: Any = tqdm(total=self._left, unit=self._unit, unit_scale=True, disable=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        self._redirected.__exit__(kind, error, trace)

    def omit(self, petal: str, failed: bool = False) -> None:
        """Leave a petal out that is not scored in this run."""
        weight = self._weights[petal]
        self._left -= weight
        self._ended += 1
        self._failed += failed
        self._bar.total -= weight

    def ended(self, result: PetalResult) -> None:
        """Count a petal, and show the progress."""
        if result.state != SCORED:
            self.omit(result.name, failed=bool(result.message))
        else:
            weight = self._weights[result.name]
            self._left -= weight
            self._ended += 1
            self._scored += weight
            self._spectra += result.spectra
            self._bar.set_postfix(failed=self._failed, refresh=False)
            self._bar.update(weight)

        now = time.monotonic()
        if self._bar.disable and now - self._shown > _PAUSE:
            self._shown = now
            elapsed = now - self._begun
            left = elapsed * self._left / self._scored if self._scored else 0.0
            logger.info(
                "%d of %d petals, %d failed; %.0f spectra/s; %s left",
                *(self._ended, len(self._weights), self._failed, self._spectra / elapsed),
                tqdm.format_interval(left) if self._scored else "unknown",
            )
