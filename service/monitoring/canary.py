"""Canary monitor: the canary is scored at the start, then at intervals beside the requests.

Wrong libraries, a damaged cache of compiled code or a failing processor change scores without an
error. The canary shows it, because its scores are known. It is a handful of spectra, scored in a
thread of its own in a few hundredths of a second, and takes no slot that a request could have.
"""

import logging
import threading

from scoring.canary import Canary, Disagreement
from scoring.scorer import Scorer

from .metrics import Metrics

_log = logging.getLogger("service")


class CanaryMonitor:
    """Check the canary at intervals.

    Parameters
    ----------
    canary : Canary
    scorer : Scorer
    metrics : Metrics
    seconds : float
        Interval between two checks.
    """

    def __init__(self, canary: Canary, scorer: Scorer, metrics: Metrics, seconds: float) -> None:
        self._canary = canary
        self._scorer = scorer
        self._metrics = metrics
        self._seconds = seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)

    def start(self) -> str | None:
        """Check once, then go on in a thread; return the fault of that check, None if none."""
        fault = self._check()
        self._thread.start()
        return fault

    def close(self) -> None:
        """Stop checking."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(self._seconds):
            self._check()

    def _check(self) -> str | None:
        try:
            found = self._canary.check(self._scorer)
        except Exception:  # noqa: BLE001 (any error is logged and counted; the thread must go on)
            _log.exception("the canary could not be scored")
            found = Disagreement(float("inf"), 0, 0)

        self._metrics.observe_canary(found)
        if not found:
            return None
        fault = (
            f"the canary's scores differ from those stored in the model: {found}; start the "
            "service on another machine, and if that does not help go back to the last image and "
            "model that agreed"
        )
        _log.error(fault)
        return fault
