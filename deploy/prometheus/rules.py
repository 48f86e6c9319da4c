"""Rules: recording rules and alerts of Prometheus.

The rules exist at any time scale: production is 1, the end-to-end test 1/60, in which an hour takes
a minute. Thresholds never scale.

The alerts on scores look at one hour. They need at least 2,000 eligible spectra in it, and at least
40 % of the rows eligible, those of other populations not counted. The first condition ignores a few
unusual spectra on a quiet day. The second ignores the dark programme where its target bits are not
sent: its targets lie beyond the model's redshifts, so that the eligible tenth of its rows is
standard stars and interlopers, which are another population. In bright time 70 % of the rows are
eligible. Where target bits are sent, such rows have OUT_OF_POPULATION and count nowhere.

The alerts on a night look at what `outcrop night` writes for node_exporter; without it they are
silent.
"""

from dataclasses import dataclass
from typing import Any

from deploy.prometheus import runbook
from outcrop import INSTRUMENTAL

MIN_SPECTRA = 2000
MIN_ELIGIBLE_RATIO = 0.4
# A share of 5 % or 0.2 % at a level of 1 %. Fewer than 4 of 2,000, where 20 are expected, occur by
# chance once in 300,000 hours.
FLAGGED_FACTOR = 5
# By convention 0.1 is a small and 0.25 a major shift. Inliers give up to 0.03 with a calibration
# sample of 1,000, and up to 0.1 with one of 400.
PSI = 0.25
UNSCORED_RATIO = 0.2
# 0.01 % of inliers fit so well. An hour has some 30 petals: one of them has 3 % of the spectra, one
# spectrograph 10 %.
TOO_GOOD_RATIO = 0.05
# 0.4 % of a calibration sample are outside its outermost nodes.
EXTRAPOLATED_RATIO = 0.1
# Around new moon some 5 % of a night are bright: even then a model of bright targets sees more.
OUTSIDE_RATIO = 0.99
# By how much the share of instrumental causes among the flagged spectra of an hour may exceed that
# of the week before: five standard errors of a share of 50 % among 100.
INSTRUMENTAL_RISE = 0.25
MIN_EXPLAINED = 100
MIN_EXPLAINED_BEFORE = 500
# Of a night: one petal in ten is a spectrograph, whose petal of every tile has no corrected noise.
MIN_PETALS = 20
UNCORRECTED_RATIO = 0.1
# Half of the petals are beyond it. Single petals of a usual night have 0.9 to 1.2.
NOISE_MEDIAN = (0.8, 1.25)
# 40 of 2,000 where 20 are expected: by chance once in 20,000 nights.
NIGHT_FLAGGED_FACTOR = 2
STALE_DAYS = 2
ERROR_RATIO = 0.05
MIN_ERRORS = 5
OVERLOAD_RATIO = 0.05
USED_RATIO = 0.8
SLOW_SECONDS = 10
CANARY_TOLERANCE = 0.001

# Routes that score; other routes do not count for latency.
SCORING = 'route=~"/score|/v2/.*/infer"'
# Routes that score or explain; other routes do not count for errors.
WORKING = 'route=~"/score|/explain|/v2/.*/infer"'
FAILED = f'{WORKING}, code=~"5.."'
# Keeps the logarithm of an empty decile finite.
_MIN_SHARE = 0.001

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

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
        Factor of every span of time.
    runbook_url : str, optional
        Address of docs/runbook.md, for a link in each alert beside the text of its entry.
    """

    scale: float
    runbook_url: str | None = None

    def groups(self) -> list[dict[str, Any]]:
        """Return all rule groups, as the `groups` of a rule file."""
        return [
            {"name": name, "interval": self._span(0.5 * MINUTE), "rules": rules}
            for name, rules in (
                ("outcrop-service", [*self._service_records(), *self._service_alerts()]),
                ("outcrop-science", [*self._score_records(), *self._score_alerts()]),
                ("outcrop-night", [*self._night_records(), *self._night_alerts()]),
            )
        ]

    def _span(self, seconds: float) -> str:
        return duration(seconds * self.scale)

    def _alert(self, name: str, minutes: float, severity: str, expr: str, summary: str) -> Rule:
        lasting = {"for": self._span(minutes * MINUTE)} if minutes else {}
        link = {"runbook_url": f"{self.runbook_url}#{name.lower()}"} if self.runbook_url else {}
        return {
            "alert": name,
            "expr": expr,
            **lasting,
            "labels": {"severity": severity},
            "annotations": {"summary": summary, "runbook": runbook.entries()[name], **link},
        }

    def _service_records(self) -> list[Rule]:
        window = self._span(10 * MINUTE)
        requests = f"sum(rate(outcrop_requests_total{{{WORKING}}}[{window}]))"
        errors = (
            f"(sum(rate(outcrop_requests_total{{{FAILED}}}[{window}])) or vector(0))\n"
            "/ (outcrop:requests:rate > 0)"
        )
        overload = (
            f'sum(rate(outcrop_rejected_total{{reason=~"busy|bytes"}}[{window}]))\n'
            "/ (outcrop:requests:rate > 0)"
        )

        # Of the fullest pod.
        work = f"max(avg_over_time(outcrop_work_requests[{window}]) / outcrop_work_requests_max)"
        held = (
            f"max(avg_over_time(outcrop_body_held_bytes[{window}])\n/ outcrop_body_held_bytes_max)"
        )

        duration_p95 = (
            "histogram_quantile(0.95, sum by (le) (\n"
            f"  rate(outcrop_request_duration_seconds_bucket{{{SCORING}}}[{window}])\n))"
        )

        return [
            _record("outcrop:requests:rate", requests),
            _record("outcrop:errors:ratio", errors),
            _record("outcrop:turned_away:ratio", overload),
            _record("outcrop:taken:ratio", work, resource="places"),
            _record("outcrop:taken:ratio", held, resource="bytes"),
            _record("outcrop:request_duration_seconds:p95", duration_p95),
        ]

    def _service_alerts(self) -> list[Rule]:
        window = self._span(10 * MINUTE)
        down = self._alert(
            "OutcropDown", 2, "critical", "absent(outcrop_ready == 1)", "No pod is ready."
        )

        not_ready = self._alert(
            "OutcropNotReady",
            10,
            "warning",
            'outcrop_ready == 0 or up{job="outcrop"} == 0',
            "A pod is not ready, or cannot be scraped.",
        )

        errors = self._alert(
            "OutcropErrors",
            2,
            "critical",
            f"outcrop:errors:ratio > {ERROR_RATIO}\n"
            f"and sum(increase(outcrop_requests_total{{{FAILED}}}[{window}])) >= {MIN_ERRORS}",
            "{{ $value | humanizePercentage }} of the requests to score or explain fail with a "
            "server error.",
        )

        saturated = self._alert(
            "OutcropSaturated",
            10,
            "warning",
            f"max(outcrop:taken:ratio) > {USED_RATIO}\n"
            f"or outcrop:turned_away:ratio > {OVERLOAD_RATIO}",
            "Requests arrive faster than they are scored: clients get status 429, or soon will.",
        )

        slow = self._alert(
            "OutcropSlow",
            10,
            "warning",
            f"outcrop:request_duration_seconds:p95 > {SLOW_SECONDS}",
            "5 % of the requests to score take more than {{ $value | humanizeDuration }}.",
        )

        canary_differs = self._alert(
            "OutcropCanaryDiffers",
            0,
            "critical",
            f"outcrop_canary_difference_ratio > {CANARY_TOLERANCE}\n"
            "or outcrop_canary_flags > 0\n"
            "or outcrop_canary_p_values > 0\n"
            f"or time() - outcrop_canary_checked_timestamp_seconds > {HOUR * self.scale:g}",
            "A pod's scores of the canary differ from those in the bundle, or the pod has not "
            "checked them for an hour.",
        )

        return [down, not_ready, errors, saturated, slow, canary_differs]

    def _score_records(self) -> list[Rule]:
        hour = self._span(HOUR)
        spectra = f"sum by (outcome) (increase(outcrop_spectra_total[{hour}]))"
        eligible = 'sum(outcrop:spectra:increase{outcome="eligible"})'
        other = _with_bit("OUT_OF_POPULATION", hour)
        least = f"{MIN_ELIGIBLE_RATIO} * (sum(outcrop:spectra:increase)\n  - {other})"
        evaluated = f"{eligible} >= {MIN_SPECTRA}\nand {eligible} >= {least}"

        flagged = (
            f"sum by (flag) (increase(outcrop_anomalies_total[{hour}]))\n"
            f"/ on () group_left () ({eligible} > 0)"
        )
        too_good = f"{_with_bit('TOO_GOOD', hour)}\n/ ({eligible} > 0)"

        # Of those that are eligible or would be, were it not for their S/N.
        beyond = f"sum(increase(outcrop_spectra_extrapolated_total[{hour}]))"
        extrapolated = (
            f"{beyond}\n/ (({beyond} + {eligible}) >= {MIN_SPECTRA})\n"
            f"and ({beyond} + {eligible}) >= {least}"
        )

        unscored = (
            f"sum(increase(outcrop_targets_unscored_total[{hour}]))\n"
            f"/ (sum(outcrop:spectra:increase) >= {MIN_SPECTRA})"
        )

        days = self._span(3 * DAY)
        outside = (
            f"{_with_bit('OUT_OF_POPULATION', days)}\n"
            f'/ (sum(increase(outcrop_targets_total{{target_bits="known"}}[{days}])) '
            f">= {MIN_SPECTRA})"
        )

        instrumental = _instrumental(f"[{hour}]", MIN_EXPLAINED)
        week = f"[{self._span(7 * DAY)}] offset {hour}"
        instrumental_before = _instrumental(week, MIN_EXPLAINED_BEFORE)

        # By version, because each model has its own deciles.
        latent_spectra = (
            f"sum by (version, latent, decile)\n(increase(outcrop_latent_spectra_total[{hour}]))"
        )
        latent_share = (
            "outcrop:latent_spectra:increase / on (version, latent) group_left ()\n"
            f"(sum by (version, latent) (outcrop:latent_spectra:increase) >= {MIN_SPECTRA})"
        )

        # The population stability index: Σ (share − reference) ln(share / reference).
        share = f"clamp_min(outcrop:latent_share:ratio, {_MIN_SHARE})"
        reference = (
            "clamp_min(max by (version, latent, decile) (outcrop_latent_reference_ratio), "
            f"{_MIN_SHARE})"
        )
        psi = (
            f"sum by (version, latent) (\n  ({share}\n    - {reference})\n"
            f"  * ln({share}\n    / {reference})\n)"
        )

        return [
            _record("outcrop:spectra:increase", spectra),
            _record("outcrop:judged_spectra:increase", evaluated),
            _record("outcrop:flagged:ratio", flagged),
            _record("outcrop:too_good:ratio", too_good),
            _record("outcrop:extrapolated:ratio", extrapolated),
            _record("outcrop:unscored:ratio", unscored),
            _record("outcrop:outside:ratio", outside),
            _record("outcrop:instrumental:ratio", instrumental),
            _record("outcrop:instrumental_before:ratio", instrumental_before),
            _record("outcrop:latent_spectra:increase", latent_spectra),
            _record("outcrop:latent_share:ratio", latent_share),
            _record("outcrop:latent_psi:sum", psi),
        ]

    def _score_alerts(self) -> list[Rule]:
        flagged = 'sum(outcrop:flagged:ratio{flag="anomaly"})'
        level = "max(outcrop_p_level_ratio)"
        anomaly_share = self._alert(
            "OutcropAnomalyShare",
            10,
            "warning",
            f"({flagged} > {FLAGGED_FACTOR} * {level}\n"
            f"  or {flagged} < {level} / {FLAGGED_FACTOR})\n"
            "and outcrop:judged_spectra:increase",
            "{{ $value | humanizePercentage }} of the eligible spectra of the last hour are "
            "anomalies, far from the model's level.",
        )

        too_good = self._alert(
            "OutcropTooGood",
            10,
            "warning",
            f"outcrop:too_good:ratio > {TOO_GOOD_RATIO}\nand outcrop:judged_spectra:increase",
            "{{ $value | humanizePercentage }} of the eligible spectra of the last hour fit better "
            "than their noise allows.",
        )

        extrapolated = self._alert(
            "OutcropExtrapolated",
            10,
            "warning",
            f"outcrop:extrapolated:ratio > {EXTRAPOLATED_RATIO}",
            "{{ $value | humanizePercentage }} of the spectra of the last hour have no p-value, "
            "because their S/N is outside the calibrated range.",
        )

        drift = self._alert(
            "OutcropDrift",
            10,
            "warning",
            f"max(outcrop:latent_psi:sum) > {PSI}\nand outcrop:judged_spectra:increase",
            "The spectra of the last hour differ from the model's calibration sample: the "
            "population stability index of a latent is {{ $value | humanize }}.",
        )

        unscored = self._alert(
            "OutcropUnscored",
            10,
            "warning",
            f"outcrop:unscored:ratio > {UNSCORED_RATIO}",
            "{{ $value | humanizePercentage }} of the rows of the last hour are targets that "
            "should have scores but have none.",
        )

        outside = self._alert(
            "OutcropOtherPopulation",
            24 * 60,
            "warning",
            f"outcrop:outside:ratio > {OUTSIDE_RATIO}",
            "{{ $value | humanizePercentage }} of the targets of the last three days are not of "
            "the population that the model is fitted on.",
        )

        instrumental = self._alert(
            "OutcropInstrumental",
            10,
            "warning",
            "outcrop:instrumental:ratio\n"
            f"  > outcrop:instrumental_before:ratio + {INSTRUMENTAL_RISE}",
            "{{ $value | humanizePercentage }} of the flagged spectra of the last hour have a "
            "cause in the instrument or the reductions, far more than in the week before.",
        )

        return [anomaly_share, too_good, extrapolated, drift, unscored, outside, instrumental]

    def _night_records(self) -> list[Rule]:
        # In a tree without nights, of healpixels, no noise can be corrected.
        petals = 'sum by (night) (outcrop_night_noise_petals{{night!=""{}}})'.format
        uncorrected = petals(', correction=~"few_sky_fibers|implausible"')
        ratio = f"{uncorrected}\n/ ({petals('')} >= {MIN_PETALS})"
        return [_record("outcrop:night_uncorrected:ratio", ratio)]

    def _night_alerts(self) -> list[Rule]:
        median = 'outcrop_night_noise_variance_ratio{statistic="median"}'
        low, high = NOISE_MEDIAN
        noise = self._alert(
            "OutcropNightNoise",
            10,
            "warning",
            f"outcrop:night_uncorrected:ratio > {UNCORRECTED_RATIO}\n"
            f"or ({median} > {high} or {median} < {low})\n"
            "  and on (night) outcrop:night_uncorrected:ratio",
            "{{ if $labels.camera }}The median petal of the night {{ $labels.night }} has "
            "{{ $value | humanize }} times the reported variance in camera {{ $labels.camera }}."
            "{{ else }}{{ $value | humanizePercentage }} of the petals of the night "
            "{{ $labels.night }} have a noise that is not corrected.{{ end }}",
        )

        set_apart = self._alert(
            "OutcropNightSetApart",
            10,
            "warning",
            "outcrop_night_set_apart_petals > 0",
            "{{ $value }} petals of the night {{ $labels.night }} have spectra that are set apart: "
            "they look like a fault of the instrument or the reductions.",
        )

        flagged = self._alert(
            "OutcropNightFlagged",
            10,
            "warning",
            f"outcrop_night_flagged_ratio > {NIGHT_FLAGGED_FACTOR} * outcrop_night_p_level_ratio\n"
            f"and outcrop_night_eligible_spectra >= {MIN_SPECTRA}",
            "{{ $value | humanizePercentage }} of the eligible spectra of the night "
            "{{ $labels.night }} are anomalies, more than twice the model's level.",
        )

        stale = self._alert(
            "OutcropNightStale",
            10,
            "warning",
            "time() - max(outcrop_night_written_timestamp_seconds) "
            f"> {STALE_DAYS * DAY * self.scale:g}",
            "The last summary of a night was written {{ $value | humanizeDuration }} ago.",
        )

        return [noise, set_apart, flagged, stale]


def _with_bit(bit: str, span: str) -> str:
    """Return the number of spectra with a status bit in a span of time, as an expression."""
    return f'sum(increase(outcrop_spectra_status_total{{bit="{bit}"}}[{span}]))'


def _instrumental(span: str, least: int) -> str:
    """Return the share of instrumental causes in a span of time with at least so many causes."""
    causes = "|".join(INSTRUMENTAL)
    return (
        f'sum(increase(outcrop_causes_total{{cause=~"{causes}"}}{span}))\n'
        f"/ (sum(increase(outcrop_causes_total{span})) >= {least})"
    )


def _record(name: str, expr: str, **labels: str) -> Rule:
    return {"record": name, "expr": expr} | ({"labels": labels} if labels else {})
