"""OutlierService: the application as a BentoML service.

``bentoml serve service.app:OutlierService`` starts and supervises the process, makes the
instance of `OutlierService` and stops it. Requests do not pass through BentoML: its validation,
error shapes, metrics, timeouts and pages differ from what this service promises, so the
application's door takes them before it could.
"""

import logging
import os
import time
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException
from starlette.types import ASGIApp, Receive, Scope, Send

from model_store.bundle import Bundle, BundleError
from model_store.registry import resolve

from . import preflight as trial
from .http.auth import Guard
from .monitoring import logs
from .settings import Settings, SettingsError

_log = logging.getLogger("service")


def _set_threads(threads: int | None) -> None:
    # OpenMP, and so the neighbour search, reads this once: when scoring is imported.
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


class _DoorService(bentoml.Service[Any]):
    """A BentoML service that hands each request to the door of its instance."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the ASGI application; its lifespan is BentoML's, which makes the instance."""
        framework = super().to_asgi(is_main)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await framework(scope, receive, send)
            else:
                await bentoml.get_current_service().application.door(scope, receive, send)

        return application


@bentoml.service(
    service_class=_DoorService,
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class OutlierService:
    """The model named by OUTCROP_MODEL, served."""

    @bentoml.on_deployment
    @staticmethod
    def check() -> None:
        """Refuse to start before any process is made, in one line, if it could not serve."""
        try:
            settings = Settings.read()
            Guard(settings.tokens_file, settings.allow_anonymous)
            trial.run(resolve(settings.model))
        except (SettingsError, BundleError) as error:
            raise BentoMLException(str(error)) from error

    def __init__(self) -> None:
        started = time.monotonic()
        settings = Settings.read()
        logs.configure(settings.log_level)
        _set_threads(settings.threads)
        # Not at the top: the supervising process imports this module too and has no use for them,
        # and the variables just set are read when the libraries below are loaded.
        from scoring.scorer import Scorer

        from .application import Application

        bundle = Bundle.open(resolve(settings.model))
        scorer = Scorer(bundle, settings.threads)
        self.application = Application(settings, bundle, scorer)
        model = scorer.model
        fields = {
            "model": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "sample": model.sample,
            "seconds": round(time.monotonic() - started, 3),
        }
        trouble = self.application.health.trouble
        _log.info("ready" if trouble is None else "not ready", extra={"fields": fields})

    @bentoml.on_shutdown
    def close(self) -> None:
        """Finish what was begun."""
        self.application.close()
        _log.info("stopped")
