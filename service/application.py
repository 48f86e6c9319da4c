"""The application: every part of the service, put together."""

import numpy as np
from starlette.responses import Response

from model_store.bundle import Bundle, BundleError
from outcrop import Band, Spectra
from outcrop.spectra import CAMERAS, WAVE
from scoring.canary import Canary
from scoring.drift import Drift
from scoring.scorer import Scorer

from .http.app import Door
from .http.router import Page, Route, Table
from .http.work import Work
from .interfaces.json_api import Api
from .interfaces.oip import Protocol
from .interfaces.openapi import document
from .monitoring.canary import Watch
from .monitoring.health import Health
from .monitoring.metrics import Metrics
from .settings import Settings


class Application:
    """The service as it is without BentoML.

    Parameters
    ----------
    settings : Settings
    bundle : Bundle
    scorer : Scorer
        Of the bundle. Scores a plain spectrum of each layout here, so that the first request finds
        everything compiled and loaded, and the canary, without which the service is not ready.

    Attributes
    ----------
    door : Door
        The ASGI application.
    health : Health

    Raises
    ------
    SettingsError, BundleError
        If the settings or the model do not allow a start.
    """

    def __init__(self, settings: Settings, bundle: Bundle, scorer: Scorer) -> None:
        self.metrics = Metrics(scorer.model, Drift.from_arrays(bundle.arrays("drift.npz")))
        self.health = Health(settings.drain_file)
        self.metrics.ready.set_function(lambda: self.health.trouble is None)
        self.work = Work(settings.max_in_work, settings.max_waiting)
        api = Api(scorer, self.metrics, settings.max_spectra)
        protocol = Protocol(scorer, self.metrics, settings.max_spectra, self.health.check)
        routes: list[Route] = [
            *api.routes(),
            *protocol.routes(),
            *self.health.routes(),
            Page("/metrics", lambda _: self.metrics.page(), is_open=True),
            Page("/openapi.json", lambda _: Response(schema, media_type="application/json")),
        ]
        schema = document(routes, scorer.model)
        self.metrics.declare(route.path for route in routes)
        self.door = Door(settings, Table(routes), self.metrics, self.work)
        _warm_up(scorer)
        canary = Canary.from_arrays(bundle.arrays("canary.npz"))
        self._watch = Watch(canary, scorer, self.metrics, settings.canary_seconds)
        self.health.fault = self._watch.start()
        self.health.warm = True

    def close(self) -> None:
        """Finish the work that was begun."""
        self._watch.close()
        self.work.close()


def _warm_up(scorer: Scorer) -> None:
    for names in (("brz",), CAMERAS):
        bands = {name: np.ones((1, len(WAVE[name])), np.float32) for name in names}
        spectra = Spectra(
            {name: Band(ones, ones) for name, ones in bands.items()},
            z=np.array([sum(scorer.model.redshift_range) / 2]),
            targetid=np.zeros(1, np.int64),
        )
        scores = scorer.score(spectra, reconstruction=True)
        if not np.isfinite([scores.wmse, scores.nof]).all():
            raise BundleError(
                f"model {scorer.model.version} gives a flat spectrum wmse {scores.wmse[0]} and "
                f"nof {scores.nof[0]}, so it cannot score; train it again"
            )
