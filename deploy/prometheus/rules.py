"""Rules: what Prometheus records of the service, and when it alerts.

One source for every time scale: production is 1, the end-to-end test 1/60, in which an hour passes
in a minute. Thresholds never scale.

The science is judged over an hour, and only where the hour says something: 2,000 eligible spectra,
and two of five rows eligible. The first keeps a list of oddities that somebody sends on a quiet day
from alerting. The second knows the dark programme: its targets lie beyond the model's redshifts, so
that what stays eligible, a tenth of the rows, is standard stars and interlopers, another population
altogether. In bright time seven of ten rows are eligible.
"""

from dataclasses import dataclass
from typing import Any

LEAST_SPECTRA = 2000
LEAST_ELIGIBLE_RATIO = 0.4
# A share of 5 % or 0.2 % at a level of 1 %. Chance strays from 20 of 2,000 to 4 once in 300,000.
FLAGGED_FACTOR = 5
# 0.1 is called a small, 0.25 a major shift. Inliers give up to 0.03 with a calibration
# sample of 1,000, 0.1 with one of 400.
PSI = 0.25
UNSCORED_RATIO = 0.2
ERROR_RATIO = 0.05
LEAST_ERRORS = 5
TURNED_AWAY_RATIO = 0.05
TAKEN_RATIO = 0.8
SLOW_SECONDS = 10
CANARY_TOLERANCE = 0.001

# Routes that score; probes and pages say nothing about errors or latency.
JOBS = 'route=~"/score|/v2/.*/infer"'
FAILED = f'{JOBS}, code=~"5.."'
# An empty decile is finite.
_LEAST_SHARE = 0.001

MINUTE = 60
HOUR = 60 * MINUTE

Rule = dict[str, Any]


def duration(seconds: float) -> str:
    """Return a duration as Prometheus writes it.

    Examples
    --------
    >>> duration(3600), duration(600), duration(0.5)
    ('1h', '10m', '500ms')
    """
    milliseconds = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


@dataclass(frozen=True)
class Rules:
    """The rules at one time scale.

    Attributes
    ----------
    scale : float
        Every span of time is multiplied with it.
    runbook : str
        Address of docs/runbook.md.
    """

    scale: float
    runbook: str

    def groups(self) -> list[dict[str, Any]]:
        """Return all rule groups, as the `groups` of a rule file."""
        return [
            {"name": name, "interval": self._span(0.5 * MINUTE), "rules": rules}
            for name, rules in (
                ("outcrop-service", [*self._service_records(), *self._service_alerts()]),
                ("outcrop-science", [*self._science_records(), *self._science_alerts()]),
            )
        ]

    def _span(self, seconds: float) -> str:
        return duration(seconds * self.scale)

    def _alert(self, name: str, minutes: float, severity: str, expr: str, says: str) -> Rule:
        lasting = {"for": self._span(minutes * MINUTE)} if minutes else {}
        return {
            "alert": name,
            "expr": expr,
            **lasting,
            "labels": {"severity": severity},
            "annotations": {"summary": says, "runbook_url": f"{self.runbook}#{name.lower()}"},
        }

    def _service_records(self) -> list[Rule]:
        brief = self._span(10 * MINUTE)
        return [
            _record(
                "outcrop:requests:rate", f"sum(rate(outcrop_requests_total{{{JOBS}}}[{brief}]))"
            ),
            _record(
                "outcrop:errors:ratio",
                f"(sum(rate(outcrop_requests_total{{{FAILED}}}[{brief}])) or vector(0))\n"
                "/ (outcrop:requests:rate > 0)",
            ),
            _record(
                "outcrop:turned_away:ratio",
                f'sum(rate(outcrop_rejected_total{{reason=~"busy|bytes"}}[{brief}]))\n'
                "/ (outcrop:requests:rate > 0)",
            ),
            _record(
                "outcrop:taken:ratio",
                f"max(avg_over_time(outcrop_work_requests[{brief}]) / outcrop_work_requests_max)",
                resource="places",
            ),
            _record(
                "outcrop:taken:ratio",
                f"max(avg_over_time(outcrop_body_held_bytes[{brief}])\n"
                "/ outcrop_body_held_bytes_max)",
                resource="bytes",
            ),
            _record(
                "outcrop:request_duration_seconds:p95",
                "histogram_quantile(0.95, sum by (le) (\n"
                f"  rate(outcrop_request_duration_seconds_bucket{{{JOBS}}}[{brief}])\n))",
            ),
        ]

    def _service_alerts(self) -> list[Rule]:
        brief = self._span(10 * MINUTE)
        return [
            self._alert(
                "OutcropDown", 2, "critical", "absent(outcrop_ready == 1)", "No pod takes new work."
            ),
            self._alert(
                "OutcropNotReady",
                10,
                "warning",
                'outcrop_ready == 0 or up{job="outcrop"} == 0',
                "A pod takes no new work, or cannot be scraped.",
            ),
            self._alert(
                "OutcropErrors",
                2,
                "critical",
                f"outcrop:errors:ratio > {ERROR_RATIO}\n"
                f"and sum(increase(outcrop_requests_total{{{FAILED}}}[{brief}])) >= {LEAST_ERRORS}",
                "{{ $value | humanizePercentage }} of the requests to score fail on the server's "
                "side.",
            ),
            self._alert(
                "OutcropSaturated",
                10,
                "warning",
                f"max(outcrop:taken:ratio) > {TAKEN_RATIO}\n"
                f"or outcrop:turned_away:ratio > {TURNED_AWAY_RATIO}",
                "Work arrives faster than it is done: clients are turned away, or soon will be.",
            ),
            self._alert(
                "OutcropSlow",
                10,
                "warning",
                f"outcrop:request_duration_seconds:p95 > {SLOW_SECONDS}",
                "One of twenty requests to score takes more than {{ $value | humanizeDuration }}.",
            ),
            self._alert(
                "OutcropCanaryDiffers",
                0,
                "critical",
                f"outcrop_canary_difference_ratio > {CANARY_TOLERANCE}\n"
                "or outcrop_canary_flags > 0\n"
                f"or time() - outcrop_canary_checked_timestamp_seconds > {HOUR * self.scale:g}",
                "A pod does not give the canary the scores that the model has for it, or has not "
                "checked for an hour.",
            ),
        ]

    def _science_records(self) -> list[Rule]:
        hour = self._span(HOUR)
        eligible = 'sum(outcrop:spectra:increase{outcome="eligible"})'
        share = f"clamp_min(outcrop:latent_share:ratio, {_LEAST_SHARE})"
        reference = (
            "clamp_min(max by (version, latent, decile) (outcrop_latent_reference_ratio), "
            f"{_LEAST_SHARE})"
        )
        return [
            _record(
                "outcrop:spectra:increase",
                f"sum by (outcome) (increase(outcrop_spectra_total[{hour}]))",
            ),
            _record(
                "outcrop:judged_spectra:increase",
                f"{eligible} >= {LEAST_SPECTRA}\n"
                f"and {eligible} >= {LEAST_ELIGIBLE_RATIO} * sum(outcrop:spectra:increase)",
            ),
            _record(
                "outcrop:flagged:ratio",
                f"sum by (flag) (increase(outcrop_anomalies_total[{hour}]))\n"
                f"/ on () group_left () ({eligible} > 0)",
            ),
            _record(
                "outcrop:unscored:ratio",
                f"sum(increase(outcrop_targets_unscored_total[{hour}]))\n"
                f"/ (sum(outcrop:spectra:increase) >= {LEAST_SPECTRA})",
            ),
            # By version, because each model has its own deciles.
            _record(
                "outcrop:latent_spectra:increase",
                "sum by (version, latent, decile)\n"
                f"(increase(outcrop_latent_spectra_total[{hour}]))",
            ),
            _record(
                "outcrop:latent_share:ratio",
                "outcrop:latent_spectra:increase / on (version, latent) group_left ()\n"
                f"(sum by (version, latent) (outcrop:latent_spectra:increase) >= {LEAST_SPECTRA})",
            ),
            # The population stability index: Σ (share − reference) ln(share / reference).
            _record(
                "outcrop:latent_psi:sum",
                f"sum by (version, latent) (\n  ({share}\n    - {reference})\n"
                f"  * ln({share}\n    / {reference})\n)",
            ),
        ]

    def _science_alerts(self) -> list[Rule]:
        flagged = 'sum(outcrop:flagged:ratio{flag="anomaly"})'
        level = "max(outcrop_p_level_ratio)"
        return [
            self._alert(
                "OutcropAnomalyShare",
                10,
                "warning",
                f"({flagged} > {FLAGGED_FACTOR} * {level}\n"
                f"  or {flagged} < {level} / {FLAGGED_FACTOR})\n"
                "and outcrop:judged_spectra:increase",
                "{{ $value | humanizePercentage }} of the eligible spectra of the last hour are "
                "anomalies, far from the model's level.",
            ),
            self._alert(
                "OutcropDrift",
                10,
                "warning",
                f"max(outcrop:latent_psi:sum) > {PSI}\nand outcrop:judged_spectra:increase",
                "The spectra of the last hour are another population than the model was "
                "calibrated on: a latent's population stability index is {{ $value | humanize }}.",
            ),
            self._alert(
                "OutcropUnscored",
                10,
                "warning",
                f"outcrop:unscored:ratio > {UNSCORED_RATIO}",
                "{{ $value | humanizePercentage }} of the rows of the last hour are targets that "
                "should have scores and have none.",
            ),
        ]


def _record(name: str, expr: str, **labels: str) -> Rule:
    return {"record": name, "expr": expr} | ({"labels": labels} if labels else {})
