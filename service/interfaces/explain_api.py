"""The explain API: `POST /explain`, spectra as JSON or as binary tensors, the answer as JSON."""

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from explanation.explainer import Explainer
from outcrop import Explanations, Spectra
from outcrop.explanation_json import encode_explanations
from scoring.stage_timer import StageTimer

from ..http.body import BINARY, JSON, Body
from ..http.router import PostRoute, RequestContext, Route
from ..monitoring.metrics import Metrics, status_counts
from . import json_models, oip
from .request_scorer import check_count


class ExplainApi:
    """Explain the spectra of requests within a limit; time, count and log them.

    Parameters
    ----------
    explainer : Explainer
    metrics : Metrics
    max_spectra : int
        In one request.
    """

    def __init__(self, explainer: Explainer, metrics: Metrics, max_spectra: int) -> None:
        self._explainer = explainer
        self._model = explainer.scorer.model
        self._metrics = metrics
        self._max_spectra = max_spectra

    def routes(self) -> list[Route]:
        """Return the route of this API."""
        return [
            PostRoute(
                "/explain",
                (BINARY, JSON),
                self.explain,
                check_header=self.check_header,
                is_slow=True,
            )
        ]

    def check_header(self, context: RequestContext, header: bytes) -> int:
        """Read and check the JSON header of a binary body, as `OipApi.check_header`."""
        context.json_header = oip.read_header(header, len(header), self._max_spectra)
        return context.json_header.tensor_bytes

    def explain(self, context: RequestContext, body: Body) -> Response:
        """Explain the spectra of a request."""
        timer = StageTimer(self._metrics.observe_stage)
        groups = self._groups(context, body)
        timer.lap("read")

        parts = [(rows, self._explainer.explain(spectra)) for rows, spectra in groups]
        explanations = _join(parts)
        timer.lap("explain")
        causes = self._metrics.observe_causes(explanations, self._model.p_level)

        content = encode_explanations(explanations, self._model.sample)
        timer.lap("write")
        status = np.array([one.status for one in explanations], np.int32)
        context.log_fields = {
            "n": len(explanations),
            "status": status_counts(status),
            "causes": causes,
        }
        return Response(content, media_type=JSON)

    def _groups(
        self, context: RequestContext, body: Body
    ) -> list[tuple[NDArray[np.intp], Spectra]]:
        """Return the spectra of each layout together, with their rows in the request."""
        if body.headers.media_type == BINARY:
            request = oip.read_request(body, context.json_header)
            return [(np.arange(len(request.spectra)), request.spectra)]

        request, lists = json_models.parse(body.data, self._max_spectra)
        check_count("the request", len(request.spectra), self._max_spectra)
        return list(json_models.groups(request, lists, self._explainer.scorer.by_block))


def _join(parts: list[tuple[NDArray[np.intp], Explanations]]) -> Explanations:
    """Return the explanations of all groups in the order of the request."""
    rows = np.concatenate([rows for rows, _ in parts])
    found = [one for _, explanations in parts for one in explanations]
    return Explanations(parts[0][1].model, tuple(found[at] for at in np.argsort(rows)))
