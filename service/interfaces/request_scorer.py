"""RequestScorer: the scoring of one request, whichever interface it came by."""

from collections.abc import Callable
from typing import TypeVar

from outcrop import Model, Scores, Spectra
from scoring.scorer import Scorer
from scoring.stage_timer import StageTimer

from ..http.errors import Problem
from ..http.router import RequestContext
from ..monitoring.metrics import Metrics, status_counts

T = TypeVar("T")


class RequestScorer:
    """Score the spectra of requests within a limit; time, count and log them.

    Parameters
    ----------
    scorer : Scorer
    metrics : Metrics
    max_spectra : int
        In one request.

    Attributes
    ----------
    max_spectra : int
    """

    def __init__(self, scorer: Scorer, metrics: Metrics, max_spectra: int) -> None:
        self._scorer = scorer
        self._metrics = metrics
        self.max_spectra = max_spectra

    @property
    def model(self) -> Model:
        """The model that is served."""
        return self._scorer.model

    def by_block(self, function: Callable[[slice], T], count: int) -> list[T]:
        """Return the results of a function for blocks of rows, as `Scorer.by_block` does."""
        return self._scorer.by_block(function, count)

    def timer(self) -> StageTimer:
        """Return a timer of the stages before and after scoring."""
        return StageTimer(self._metrics.observe_stage)

    def score(self, spectra: Spectra, *, reconstruction: bool) -> Scores:
        """Score and count some spectra of a request."""
        scores = self._scorer.score(
            spectra, reconstruction=reconstruction, observe=self._metrics.observe_stage
        )
        self._metrics.observe_scores(spectra, scores)
        return scores

    def record(self, context: RequestContext, scores: Scores) -> None:
        """Add the counts of a whole request to its log line."""
        context.log_fields = {"n": len(scores), "status": status_counts(scores.status)}


def check_count(where: str, count: int, max_spectra: int) -> None:
    """Check the number of spectra in a request.

    Parameters
    ----------
    where : str
        The part of the request that holds them, for the message.
    count, max_spectra : int

    Raises
    ------
    Problem
        413 where there are too many.
    """
    if count > max_spectra:
        raise Problem(
            413,
            f"{where} holds {count} spectra; send at most {max_spectra} at a time",
            reason="too_large",
        )
