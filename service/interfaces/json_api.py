"""The JSON API: `POST /score` and `GET /model`."""

from pydantic_core import to_json
from starlette.responses import JSONResponse, Response

from outcrop import Model, Scores
from scoring.scorer import Scorer
from scoring.stage_timer import StageTimer

from ..http.body import JSON, Body
from ..http.errors import Problem
from ..http.router import Exchange, Job, Page, Route
from ..monitoring.metrics import Metrics
from . import json_models as documents


class Api:
    """Answers in JSON.

    Parameters
    ----------
    scorer : Scorer
    metrics : Metrics
    max_spectra : int
    """

    def __init__(self, scorer: Scorer, metrics: Metrics, max_spectra: int) -> None:
        self._scorer = scorer
        self._metrics = metrics
        self._max_spectra = max_spectra
        model: Model = scorer.model
        self._name = {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "sample": model.sample,
        }

    def routes(self) -> list[Route]:
        """Return what is answered here."""
        return [Job("/score", (JSON,), self.score), Page("/model", self.model)]

    def model(self, exchange: Exchange) -> Response:
        """Answer what the model says of itself."""
        return JSONResponse(self._scorer.model.to_json())

    def score(self, exchange: Exchange, body: Body) -> Response:
        """Score the spectra of a document."""
        observe = self._metrics.observe_stage
        timer = StageTimer(observe)
        request = documents.parse(body.data)
        if len(request.spectra) > self._max_spectra:
            raise Problem(
                413,
                f"spectra holds {len(request.spectra)}; send at most {self._max_spectra} at a time",
                reason="too_large",
            )
        groups = list(documents.groups(request))
        timer.lap("read")
        parts = [
            (
                index,
                self._scorer.score(spectra, reconstruction=request.reconstruction, observe=observe),
            )
            for index, spectra in groups
        ]
        scores: Scores = documents.join(parts)
        exchange.scores = scores
        self._metrics.observe_scores(scores, None)
        timer = StageTimer(observe)
        answer = {"model": self._name, "scores": documents.rows(scores)}
        content = to_json(answer, inf_nan_mode="null")
        timer.lap("write")
        return Response(content, media_type=JSON)
