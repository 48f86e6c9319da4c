"""The JSON API: `POST /score` and `GET /model`."""

from starlette.responses import Response

from ..http.body import JSON, Body
from ..http.router import GetRoute, PostRoute, RequestContext, Route
from . import json_models
from .request_scorer import RequestScorer, check_count
from .response_models import ModelCard, ModelName, ScoreAnswer


class JsonApi:
    """Answer requests in JSON.

    Parameters
    ----------
    scorer : RequestScorer
    """

    def __init__(self, scorer: RequestScorer) -> None:
        self._scorer = scorer
        self._card = ModelCard.model_validate(scorer.model.to_json())
        self._name = ModelName.of(scorer.model)

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        return [PostRoute("/score", (JSON,), self.score), GetRoute("/model", self.model)]

    def model(self, _: RequestContext) -> Response:
        """Return the description of the model."""
        return self._card.response()

    def score(self, context: RequestContext, body: Body) -> Response:
        """Score the spectra of a request."""
        timer = self._scorer.timer()
        request, lists = json_models.parse(body.data, self._scorer.max_spectra)
        check_count("the request", len(request.spectra), self._scorer.max_spectra)
        groups = list(json_models.groups(request, lists, self._scorer.by_block))
        reconstruction = request.reconstruction is not False
        timer.lap("read")

        parts = [
            (index, self._scorer.score(spectra, reconstruction=reconstruction))
            for index, spectra in groups
        ]
        scores = json_models.join(parts)
        self._scorer.record(context, scores)

        timer = self._scorer.timer()
        response = ScoreAnswer.of(self._name, scores).response()
        timer.lap("write")
        return response
