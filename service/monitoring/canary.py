"""Watch: the canary, scored at the start and then again and again beside the requests.

Wrong libraries, a damaged cache of compiled code or a failing processor change scores without an
error. The canary notices: its scores are known. It is a handful of spectra, scored in a thread of
its own in a few hundredths of a second, and holds no place that a request could have.
"""

import logging
import threading

from scoring.canary import Canary, Disagreement
from scoring.scorer import Scorer

from .metrics import Metrics

_log = logging.getLogger("service")


class Watch:
    """Checks the canary.

    Parameters
    ----------
    canary : Canary
    scorer : Scorer
    metrics : Metrics
    seconds : float
        Time between two checks.
    """

    def __init__(self, canary: Canary, scorer: Scorer, metrics: Metrics, seconds: float) -> None:
        self._canary = canary
        self._scorer = scorer
        self._metrics = metrics
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="canary", daemon=True)

    def start(self) -> str | None:
        """Check once, then go on in a thread; return what is wrong already, None if nothing is."""
        fault = self._check()
        self._thread.start()
        return fault

    def close(self) -> None:
        """Stop checking."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._check()

    def _check(self) -> str | None:
        try:
            found = self._canary.check(self._scorer)
        except Exception:  # noqa: BLE001 (whatever it is, it must be seen, and the thread go on)
            _log.exception("the canary could not be scored")
            found = Disagreement(float("inf"), 0)
        self._metrics.observe_canary(found)
        if not found:
            return None
        fault = (
            f"the canary does not score as the model did when it was made: {found}; start again "
            "elsewhere, and if that does not help go back to the last image and model that agreed"
        )
        _log.error(fault)
        return fault
