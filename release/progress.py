"""Progress: how far a run is, how fast, and how long it will take."""

import logging
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from outcrop.plan import Plan

from .petal import PetalResult

if TYPE_CHECKING:
    from .run import Totals

logger = logging.getLogger(__name__)

_PAUSE: Final = 60.0  # s, between log lines where there is no terminal


class Progress:
    """A bar on a terminal, a log line each minute elsewhere; a context manager.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        petals = plan.petals
        # Not all plans know the number of spectra.
        self._known = all(petal.spectra >= 0 for petal in petals)
        self._weights = {one.coadd: one.spectra if self._known else 1 for one in petals}
        self._left = sum(self._weights.values())
        self._redirected: Any = logging_redirect_tqdm()

    def __enter__(self) -> "Progress":
        self._redirected.__enter__()
        self._start = self._shown = time.monotonic()
        self._done = 0
        # disable=None: only on a terminal.
        self._bar: Any = tqdm(
            total=self._left, unit=" spectra" if self._known else " petals", disable=None
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        self._redirected.__exit__(kind, error, trace)

    def ended(self, result: PetalResult) -> None:
        """Count a petal."""
        weight = self._weights[result.name]
        self._left -= weight
        self._done += weight
        self._bar.update(weight)

    def show(self, totals: "Totals") -> None:
        """Show the counts."""
        failed = len(totals.failures) + len(totals.set_apart)
        if not self._bar.disable:
            self._bar.set_postfix(failed=failed, refresh=False)
        elif time.monotonic() - self._shown > _PAUSE:
            self._shown = time.monotonic()
            elapsed = self._shown - self._start
            logger.info(
                "%d of %d petals, %d failed; %.0f spectra/s; %s left",
                totals.petals - totals.waiting,
                totals.petals,
                failed,
                totals.spectra / elapsed,
                tqdm.format_interval(elapsed * self._left / max(self._done, 1)),
            )
