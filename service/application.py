"""The application: every part of the service, put together."""

from starlette.responses import Response

from explanation.explainer import Explainer
from explanation.labels import read_labels
from model_store.bundle import Bundle
from scoring.canary import Canary
from scoring.drift import Drift
from scoring.scorer import Scorer

from .http.app import HttpApp
from .http.budget import Budget
from .http.router import GetRoute, Route, Router
from .http.work import Work
from .interfaces.explain_api import ExplainApi
from .interfaces.json_api import JsonApi
from .interfaces.oip import OipApi
from .interfaces.openapi import document
from .interfaces.request_scorer import RequestScorer
from .monitoring.canary import CanaryMonitor
from .monitoring.health import Health
from .monitoring.metrics import Metrics
from .settings import Settings
from .warm_up import warm_up


class Application:
    """The service without BentoML.

    Parameters
    ----------
    settings : Settings
    bundle : Bundle
    scorer : Scorer
        Of the bundle. A flat spectrum of each layout is scored and explained here, so that the
        first request waits for no compilation, and the canary is scored, without which the
        service is not ready.

    Attributes
    ----------
    http : HttpApp
        The ASGI application.
    health : Health
    metrics : Metrics
    work, slow_work : Work
        Of requests to score, and of requests to explain.

    Raises
    ------
    SettingsError, BundleError, InputError
        If the service cannot start with these settings, this model or these labels.
    """

    def __init__(self, settings: Settings, bundle: Bundle, scorer: Scorer) -> None:
        self.metrics = Metrics(scorer.model, Drift.from_arrays(bundle.arrays("drift.npz")))
        self.health = Health(settings.drain_file)
        self.metrics.ready.set_function(lambda: self.health.trouble is None)

        # Apart, so that a request to score never waits for seconds behind explanations.
        self.work = Work(settings.max_in_work, settings.max_waiting)
        self.slow_work = Work(settings.max_in_work, settings.max_waiting)
        budget = Budget(settings.max_inflight_bytes)
        self.metrics.observe_load(self.work, budget)

        labels = read_labels(settings.labels_file) if settings.labels_file else None
        self._explainer = Explainer(bundle, scorer, labels)
        routes = self._routes(
            RequestScorer(scorer, self.metrics, settings.max_spectra),
            ExplainApi(self._explainer, self.metrics, settings.max_explained),
        )
        self.metrics.declare_routes(route.path for route in routes)
        self.http = HttpApp(
            settings, Router(routes), self.work, self.slow_work, budget, self.metrics
        )

        warm_up(self._explainer)
        canary = Canary.from_arrays(bundle.arrays("canary.npz"))
        self._monitor = CanaryMonitor(canary, scorer, self.metrics, settings.canary_seconds)
        self.health.fault = self._monitor.start()
        self.health.warm = True

    def _routes(self, scorer: RequestScorer, explain: ExplainApi) -> list[Route]:
        routes: list[Route] = [
            *JsonApi(scorer).routes(),
            *explain.routes(),
            *OipApi(scorer, self.health.check).routes(),
            *self.health.routes(),
            GetRoute("/metrics", lambda _: self.metrics.response(), is_open=True),
            GetRoute("/openapi.json", lambda _: Response(schema, media_type="application/json")),
        ]
        schema = document(routes, scorer.model)
        return routes

    def close(self) -> None:
        """Finish the requests in work, then stop."""
        self._monitor.close()
        self.work.close()
        self.slow_work.close()
        self._explainer.close()
