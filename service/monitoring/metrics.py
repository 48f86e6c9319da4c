"""Metrics: what the service reports to Prometheus.

Names are stable and carry their unit; labels come from fixed sets, so that no client can make
new series. All series of a fixed set exist from the start, at 0. The module `score_metrics` counts
the scores of eligible spectra. ``python -m service.monitoring.metrics`` prints docs/metrics.md.

BentoML runs its workers in prometheus-client's multi-process mode, where every sample is written
to a file. One worker serves, so the numbers can stay in memory: the mode is switched off.
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
from starlette.datastructures import Headers
from starlette.responses import Response

from outcrop import CAUSES, Explanations, Model, Scores, Spectra, Status
from outcrop.scores import INELIGIBLE, MIN_SNR
from scoring.canary import Disagreement
from scoring.drift import DECILES, Drift
from scoring.scorer import STAGES as SCORING_STAGES

from ..http.budget import Budget
from ..http.router import UNKNOWN, RequestContext
from ..http.work import Work
from .score_metrics import FLAGS, SPECTYPES, ScoreMetrics, by_spectype

values.ValueClass = values.MutexValue
# A series with the creation time beside each counter would double what is scraped.
disable_created_metrics()

REASONS = (
    "bytes",
    "busy",
    "deadline",
    "forbidden",
    "malformed",
    "media_type",
    "method",
    "not_found",
    "slow_body",
    "slow_head",
    "too_large",
    "unauthorized",
)
"""Why requests are rejected."""

OUTCOMES = ("eligible", "ineligible", "unscored")
"""An unscored spectrum has NaN scores; an ineligible one has scores that do not count."""

TARGET_BITS = ("known", "unknown")

PETALS = (*map(str, range(10)), "none")

STAGES = ("read", *SCORING_STAGES, "explain", "write")
"""The stages of a request, once its body is complete, in order."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, *_SECONDS[:14])
_BYTES = tuple(float(4**k) for k in range(5, 14))
_BITS = [int(bit) for bit in Status]
_NAMES = [str(bit.name) for bit in Status]


def _bit_counts(status: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.count_nonzero(status[:, None] & np.array(_BITS, np.int32), axis=0)


def status_counts(status: NDArray[np.int32]) -> dict[str, int]:
    """Return how many of some status (N,) have each bit, by name, where there are any."""
    counts = _bit_counts(status).tolist()
    return {name: count for name, count in zip(_NAMES, counts, strict=True) if count}


class Metrics:
    """The metrics of one service, in a registry of their own; a `RequestObserver`.

    Parameters
    ----------
    model : Model
    drift : Drift
    """

    def __init__(self, model: Model, drift: Drift) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.ready = Gauge(
            "outcrop_ready",
            "1 while new requests should be sent here, as `/readyz` says, otherwise 0.",
            registry=self.registry,
        )
        # docs/metrics.md lists them in the order in which they are registered.
        self._register_requests()
        self._register_load()
        self._register_spectra()
        self._scores = ScoreMetrics(model, drift)
        self.registry.register(self._scores)
        self._register_canary()
        self._register_model(model)
        self._start_series()

    def _register_requests(self) -> None:
        self._requests = Counter(
            "outcrop_requests",
            "Requests answered, by route template and HTTP status code.",
            ["route", "code"],
            registry=self.registry,
        )

        self._request_duration = Histogram(
            "outcrop_request_duration_seconds",
            "Time from a request's head to the end of its response.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

        self._requests_in_flight = Gauge(
            "outcrop_requests_in_flight",
            "Requests that have arrived and are not yet answered.",
            registry=self.registry,
        )

        self._rejected = Counter(
            "outcrop_rejected",
            "Requests rejected, by reason.",
            ["reason"],
            registry=self.registry,
        )

        self._request_body = Histogram(
            "outcrop_request_body_bytes",
            "Size of complete request bodies.",
            buckets=_BYTES,
            registry=self.registry,
        )

    def _register_load(self) -> None:
        self._work = Gauge(
            "outcrop_work_requests",
            "Complete requests to score in work or waiting for a thread.",
            registry=self.registry,
        )

        self._work_max = Gauge(
            "outcrop_work_requests_max",
            "Maximum number of requests to score in work or waiting; beyond it 429.",
            registry=self.registry,
        )

        self._body_held = Gauge(
            "outcrop_body_held_bytes",
            "Request bodies and responses in memory, including those that are still arriving or "
            "being sent.",
            registry=self.registry,
        )

        self._body_held_max = Gauge(
            "outcrop_body_held_bytes_max",
            "Maximum of request bodies and responses in memory; beyond it 429.",
            registry=self.registry,
        )

        self._stage = Histogram(
            "outcrop_stage_seconds",
            "Time of one stage, for one block of spectra; blocks run at the same time.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=self.registry,
        )

    def _register_spectra(self) -> None:
        self._spectra = Counter(
            "outcrop_spectra",
            "Spectra answered: eligible, ineligible (scores that do not count) or unscored.",
            ["outcome", "spectype"],
            registry=self.registry,
        )

        self._spectra_status = Counter(
            "outcrop_spectra_status",
            "Spectra with each status bit.",
            ["bit"],
            registry=self.registry,
        )

        self._spectra_petal = Counter(
            "outcrop_spectra_petal",
            "Spectra by petal, where the request gives it.",
            ["petal"],
            registry=self.registry,
        )

        self._targets = Counter(
            "outcrop_targets",
            "Spectra of targets, by whether the request gives their target bits; with unknown bits "
            "a target counts as one of the model's population.",
            ["target_bits"],
            registry=self.registry,
        )

        self._targets_unscored = Counter(
            "outcrop_targets_unscored",
            "Spectra without scores that should have some: of a target, with a redshift that is "
            "missing or in the model's range, but without data, redshift or half of the bins.",
            registry=self.registry,
        )

        self._extrapolated = Counter(
            "outcrop_spectra_extrapolated",
            "Spectra that are ineligible only because their S/N, of at least 1, is outside the "
            "calibrated range.",
            registry=self.registry,
        )

        self._causes = Counter(
            "outcrop_causes",
            "Explained spectra with the flag anomaly, by the most probable cause.",
            ["cause"],
            registry=self.registry,
        )

    def _register_canary(self) -> None:
        self._canary_difference = Gauge(
            "outcrop_canary_difference_ratio",
            "Largest relative difference of the canary's wmse or nof to those stored in the "
            "model, at the last check; more than 0.001 is too much.",
            registry=self.registry,
        )

        self._canary_flags = Gauge(
            "outcrop_canary_flags",
            "Flags of the canary that differed from those stored in the model, at the last check.",
            registry=self.registry,
        )

        self._canary_p_values = Gauge(
            "outcrop_canary_p_values",
            "P-values of the canary that differed by more than a tenth from those stored in the "
            "model, at the last check.",
            registry=self.registry,
        )

        self._canary_checked = Gauge(
            "outcrop_canary_checked_timestamp_seconds",
            "When the canary was last checked, seconds since 1970.",
            registry=self.registry,
        )

    def _register_model(self, model: Model) -> None:
        info = Gauge(
            "outcrop_model_info",
            "1 for the model that is served.",
            ["version", "sha256", "sample"],
            registry=self.registry,
        )
        info.labels(model.version, model.sha256, model.sample).set(1)

    def _start_series(self) -> None:
        for metric, names in (
            (self._stage, STAGES),
            (self._rejected, REASONS),
            (self._spectra_status, _NAMES),
            (self._spectra_petal, PETALS),
            (self._targets, TARGET_BITS),
            (self._causes, CAUSES),
        ):
            for name in names:
                metric.labels(name)
        for outcome in OUTCOMES:
            for name in SPECTYPES:
                self._spectra.labels(outcome, name)

    def declare_routes(self, routes: Iterable[str]) -> None:
        """Start the series of all routes, given their templates."""
        for route in (*routes, UNKNOWN):
            self._request_duration.labels(route)

    def observe_load(self, work: Work, budget: Budget) -> None:
        """Report, from now on, what is in work and in memory, and the limits of both."""
        self._work.set_function(lambda: work.taken)
        self._work_max.set(work.slots)
        self._body_held.set_function(lambda: budget.held)
        self._body_held_max.set(budget.total)

    def request_started(self) -> None:
        """Count a request that has arrived."""
        self._requests_in_flight.inc()

    def request_rejected(self, reason: str) -> None:
        """Count a rejection, by one of `REASONS`."""
        self._rejected.labels(reason).inc()

    def request_finished(self, context: RequestContext, code: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests_in_flight.dec()
        self._requests.labels(context.route, str(code)).inc()
        self._request_duration.labels(context.route).observe(seconds)
        if context.body_bytes is not None:
            self._request_body.observe(context.body_bytes)

    def observe_stage(self, stage: str, seconds: float) -> None:
        """Count the time of a stage, one of `STAGES`."""
        self._stage.labels(stage).observe(seconds)

    def observe_canary(self, found: Disagreement) -> None:
        """Report the result of a check of the canary, just made."""
        self._canary_difference.set(found.relative)
        self._canary_flags.set(found.flags)
        self._canary_p_values.set(found.p_values)
        self._canary_checked.set_to_current_time()

    def observe_scores(self, spectra: Spectra, scores: Scores) -> None:
        """Count scored spectra."""
        eligible, without = scores.eligible, np.isnan(scores.wmse)
        outcomes = {"eligible": eligible, "unscored": without}
        outcomes["ineligible"] = ~(eligible | without)
        for outcome, chosen in outcomes.items():
            for name, count in by_spectype(spectra, chosen).items():
                self._spectra.labels(outcome, name).inc(count)

        should_score = (scores.status & int(Status.NOT_TARGET | Status.Z_OUT_OF_RANGE)) == 0
        self._targets_unscored.inc(int((without & should_score).sum()))
        disqualified = (scores.status & int(INELIGIBLE)) == int(Status.EXTRAPOLATED)
        self._extrapolated.inc(int((disqualified & (scores.snr >= MIN_SNR)).sum()))

        self._scores.observe(spectra, scores)
        for name, count in status_counts(scores.status).items():
            self._spectra_status.labels(name).inc(count)
        self._observe_targets(spectra)
        self._observe_petals(spectra)

    def observe_causes(self, explanations: Explanations, p_level: float) -> dict[str, int]:
        """Count the causes of explained spectra with a p_value below a level; return the counts."""
        flagged = [one.cause for one in explanations if one.p_value < p_level]
        counts = {cause: flagged.count(cause) for cause in CAUSES if cause in flagged}
        for cause, count in counts.items():
            self._causes.labels(cause).inc(count)
        return counts

    def _observe_targets(self, spectra: Spectra) -> None:
        """Count targets by whether their target bits are known."""
        target = (spectra.status & int(Status.NOT_TARGET)) == 0
        total = int(target.sum())
        known = 0
        if spectra.desi_target is not None:
            known = int((target & (spectra.desi_target != -1)).sum())
        self._targets.labels("known").inc(known)
        self._targets.labels("unknown").inc(total - known)

    def _observe_petals(self, spectra: Spectra) -> None:
        """Count spectra by petal; numbers outside 0-9 count as none."""
        petal = np.zeros(0, np.int32) if spectra.petal is None else spectra.petal
        known = petal[(petal >= 0) & (petal < 10)]
        for number, count in enumerate(np.bincount(known, minlength=10).tolist()):
            if count:
                self._spectra_petal.labels(str(number)).inc(count)
        if len(spectra) > len(known):
            self._spectra_petal.labels("none").inc(len(spectra) - len(known))

    def response(self) -> Response:
        """Return the response of `GET /metrics`."""
        return Response(
            generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


_LABELS = {
    "route": "template of a route, such as `/v2/models/{model}/infer`, or `unknown`",
    "code": "HTTP status code; 499 where the client disconnected",
    "reason": REASONS,
    "stage": "`read`: the body is decoded; `rest_frame`: coadded and resampled; `infill`: infilled "
    "and normalised; `encode`, `decode`: the networks; `residual`: the scores of residual and "
    "reconstruction; `neighbours`: NOF; `robust`: the robust reconstruction, where one is "
    "requested; `calibrate`: p_value; `explain`: spectra are explained, their scoring "
    "included; `write`: the response is encoded",
    "outcome": OUTCOMES,
    "bit": _NAMES,
    "cause": CAUSES,
    "petal": PETALS,
    "target_bits": TARGET_BITS,
    "flag": FLAGS,
    "spectype": SPECTYPES,
    "version": "the model's version",
    "sha256": "checksum of the model's manifest",
    "sample": "the model's training sample: `simulated`, or `desi` with the release",
    "latent": "the latent's number, from 0",
    "decile": "1 to 10",
}


_INTRODUCTION = """\
# Metrics

<!-- Written by `python -m service.monitoring.metrics`; a test compares. -->

`GET /metrics` returns these in Prometheus' text format, without a token. A histogram
`NAME` is the series `NAME_bucket{le}`, `NAME_sum` and `NAME_count`. Everything but the
gauges can be summed over pods. `process_*` are of the process that serves. The rules and the
dashboard built on them are in `deploy/prometheus` and `deploy/grafana`; what to do when an
alert fires is in [the runbook](runbook.md).
"""

_OF_NIGHTS = """
## Of a night

The service sees no petals: their noise, and those that are set apart, are known to `outcrop night`
alone. It writes these into `metrics.prom` beside its summary, for the textfile collector of
node_exporter; needed is prometheus_client (`outcrop[metrics]`). They are of the newest of DESI's
nights among the petals, or of all petals where none has a night. [The
runbook](runbook.md#metrics-of-a-night) says how they get to Prometheus.
"""


def documentation() -> str:
    """Return docs/metrics.md."""
    model = Model("", "", "", "", np.zeros(0), 1, (0, 0), {}, 0, None, {}, {}, "")
    drift = Drift(np.zeros((1, DECILES - 1), np.float32), np.zeros((1, DECILES)))
    metrics = Metrics(model, drift)
    metrics.declare_routes([])
    # Requests are counted by code only once there are any.
    metrics.request_finished(RequestContext("GET", "/", Headers(), "", 0.0), 200, 0.0)

    lines = [_INTRODUCTION, "| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family in metrics.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label: None for sample in family.samples for label in sample.labels}
        named = ", ".join(f"`{label}`" for label in labels if label != "le")
        lines.append(f"| `{name}` | {family.type} | {named} | {family.documentation} |")

    lines += ["", "| label | values |", "|---|---|"]
    for label, meaning in _LABELS.items():
        lines.append(f"| `{label}` | {_values(meaning)} |")
    return "\n".join(lines) + "\n" + _documentation_of_nights()


def _documentation_of_nights() -> str:
    """Return the part on what `outcrop night` writes."""
    from outcrop.night.faults import KINDS
    from outcrop.night.metrics import CORRECTIONS, FAMILIES, STATES, STATISTICS

    lines = [_OF_NIGHTS, "| metric | type | labels | meaning |", "|---|---|---|---|"]
    for name, (labels, meaning) in FAMILIES.items():
        named = ", ".join(f"`{label}`" for label in ("night", *labels))
        lines.append(f"| `{name}` | gauge | {named} | {meaning} |")

    lines += ["", "| label | values |", "|---|---|"]
    for label, meaning in {
        "night": "YYYYMMDD; empty where no petal has a night",
        "state": STATES,
        "reason": KINDS,
        "correction": CORRECTIONS,
        "camera": ("b", "r", "z"),
        "statistic": tuple(STATISTICS),
        "name": "the model's name",
    }.items():
        lines.append(f"| `{label}` | {_values(meaning)} |")
    return "\n".join(lines) + "\n"


def _values(meaning: str | Iterable[str]) -> str:
    """Return the values of a label."""
    return meaning if isinstance(meaning, str) else ", ".join(f"`{name}`" for name in meaning)


if __name__ == "__main__":
    print(documentation(), end="")  # noqa: T201 (this is the program's output)
