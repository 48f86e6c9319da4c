"""Metrics: what Prometheus is told.

Names are stable and carry their unit; labels come from fixed sets, so that no client can make
new series. All series of a fixed set exist from the start, at 0.

BentoML runs its workers in prometheus-client's multi-process mode, where every sample is written
to a file. One worker serves, so that the numbers can stay in memory: the mode is switched off.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    values,
)
from starlette.responses import Response

from outcrop import Model, Scores, Status

from .routes import UNKNOWN, Exchange

values.ValueClass = values.MutexValue
# A series beside each counter that says when it was made would double what is scraped.
disable_created_metrics()

REASONS = (
    "bytes",
    "busy",
    "deadline",
    "malformed",
    "media_type",
    "method",
    "not_found",
    "slow_body",
    "too_large",
    "unauthorized",
)
"""Why requests are refused."""

OUTCOMES = ("eligible", "ineligible", "unscored")
"""An unscored spectrum has NaN scores; an ineligible one has scores that do not count."""

PETALS = (*map(str, range(10)), "none")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BYTES = tuple(float(4**k) for k in range(5, 14))
_BITS = [int(bit) for bit in Status]
_NAMES = [str(bit.name) for bit in Status]


def _bit_counts(status: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.count_nonzero(status[:, None] & np.array(_BITS, np.int32), axis=0)


def status_counts(scores: Scores) -> dict[str, int]:
    """Return how many spectra have each status bit, by name, where there are any."""
    counts = _bit_counts(scores.status).tolist()
    return {name: count for name, count in zip(_NAMES, counts, strict=True) if count}


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "outcrop_requests",
            "Requests answered, by route template and HTTP status code.",
            ["route", "code"],
            registry=self.registry,
        )
        self.request_duration = Histogram(
            "outcrop_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.requests_in_flight = Gauge(
            "outcrop_requests_in_flight",
            "Requests begun and not yet answered.",
            registry=self.registry,
        )
        self.rejected = Counter(
            "outcrop_rejected",
            "Requests refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.request_body = Histogram(
            "outcrop_request_body_bytes",
            "Size of complete request bodies.",
            buckets=_BYTES,
            registry=self.registry,
        )
        self.spectra = Counter(
            "outcrop_spectra",
            "Spectra answered: eligible, ineligible (scores that do not count) or unscored.",
            ["outcome"],
            registry=self.registry,
        )
        self.spectra_status = Counter(
            "outcrop_spectra_status",
            "Spectra with each status bit.",
            ["bit"],
            registry=self.registry,
        )
        self.spectra_petal = Counter(
            "outcrop_spectra_petal",
            "Spectra by petal, where the request says which.",
            ["petal"],
            registry=self.registry,
        )
        self.model_info = Gauge(
            "outcrop_model_info",
            "1 for the model that is served.",
            ["version", "sha256", "sample"],
            registry=self.registry,
        )
        for counter, names in (
            (self.rejected, REASONS),
            (self.spectra, OUTCOMES),
            (self.spectra_status, _NAMES),
            (self.spectra_petal, PETALS),
        ):
            for name in names:
                counter.labels(name)

    def declare(self, model: Model, routes: Iterable[str]) -> None:
        """Name the model that is served and the templates of all routes."""
        self.model_info.labels(model.version, model.sha256, model.sample).set(1)
        for route in (*routes, UNKNOWN):
            self.request_duration.labels(route)

    def observe(self, exchange: Exchange, code: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests.labels(exchange.route, str(code)).inc()
        self.request_duration.labels(exchange.route).observe(seconds)
        if exchange.body_bytes is not None:
            self.request_body.observe(exchange.body_bytes)

    def observe_scores(self, scores: Scores, petal: NDArray[np.int32] | None) -> None:
        """Count answered spectra; petal numbers outside 0-9 count as none."""
        eligible = int(scores.eligible.sum())
        unscored = int(np.isnan(scores.wmse).sum())
        self.spectra.labels("eligible").inc(eligible)
        self.spectra.labels("unscored").inc(unscored)
        self.spectra.labels("ineligible").inc(len(scores) - eligible - unscored)
        for name, count in status_counts(scores).items():
            self.spectra_status.labels(name).inc(count)
        known = np.zeros(0, np.int32) if petal is None else petal[(petal >= 0) & (petal < 10)]
        for number, count in enumerate(np.bincount(known, minlength=10).tolist()):
            if count:
                self.spectra_petal.labels(str(number)).inc(count)
        if len(scores) > len(known):
            self.spectra_petal.labels("none").inc(len(scores) - len(known))

    def page(self) -> Response:
        """Answer `GET /metrics`."""
        return Response(
            generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
