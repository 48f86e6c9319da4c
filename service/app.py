"""OutlierService: the application as a BentoML service.

``bentoml serve service.app:OutlierService`` starts and supervises the process, makes the
instance of `OutlierService` and stops it. Requests do not pass through BentoML: its validation,
error shapes, metrics, timeouts and pages differ from those of this service, so the application's
`HttpApp` takes them first.
"""

import logging
import os
import time
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException
from starlette.types import ASGIApp, Receive, Scope, Send

from explanation.labels import read_labels
from model_store.bundle import Bundle, BundleError
from model_store.registry import resolve
from outcrop import InputError

from . import preflight, supervisor
from .http import listener
from .http.auth import Authentication
from .monitoring import logs
from .settings import Settings, SettingsError

# The packages on whose versions a model's scores depend.
_COMPARED = ("onnxruntime", "numba")
_log = logging.getLogger("service")
listener.install()


def _set_threads(threads: int | None) -> None:
    # OpenMP, and so the neighbour search, reads this once: when scoring is imported.
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def check() -> None:
    """Raise BentoMLException, in one line, if no worker could serve."""
    try:
        settings = Settings.read()
        Authentication(settings.tokens_file, settings.allow_anonymous)
        if settings.labels_file is not None:
            read_labels(settings.labels_file)
        preflight.check(resolve(settings.model))
    except InputError as error:
        raise BentoMLException(f"OUTCROP_LABELS_FILE: {error}") from error
    except (SettingsError, BundleError) as error:
        raise BentoMLException(str(error)) from error


class _HttpService(bentoml.Service[Any]):
    """A BentoML service that passes each request to the `HttpApp` of its instance."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """Return the ASGI application; its lifespan is BentoML's, which makes the instance."""
        framework = super().to_asgi(is_main)

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await framework(scope, receive, send)
            else:
                await bentoml.get_current_service().application.http(scope, receive, send)

        return application


@bentoml.service(
    service_class=_HttpService,
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class OutlierService:
    """The model named by OUTCROP_MODEL, served."""

    @bentoml.on_deployment
    @staticmethod
    def prepare() -> None:
        """Make this process, of `bentoml serve`, ready to start a worker."""
        supervisor.install()
        check()

    def __init__(self) -> None:
        started = time.monotonic()
        settings = Settings.read()
        logs.configure(settings.log_level)
        _set_threads(settings.threads)

        # Not at the top: the supervising process imports this module too and does not need them,
        # and the libraries that they load read the variables that were just set.
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
            "packages": {
                name: {"bundle": model.bundle_packages.get(name), "running": model.packages[name]}
                for name in _COMPARED
            },
            "seconds": round(time.monotonic() - started, 3),
        }
        trouble = self.application.health.trouble
        _log.info("ready" if trouble is None else "not ready", extra={"fields": fields})

    @bentoml.on_shutdown
    def close(self) -> None:
        """Finish the requests in work, then stop."""
        self.application.close()
        _log.info("stopped")
