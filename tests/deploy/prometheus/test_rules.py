"""promtool evaluates the committed rules: each alert fires for its cause and for no other.

The nights are simulated with the numbers that the rules assume: 15,000 rows an hour. In bright time
50 % of them are eligible and 30 % stars of another survey. In dark time nearly all are outside the
population, or, where target bits are unknown, 10 % are eligible, which are another population.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus import rules
from outcrop import CAUSES, INSTRUMENTAL
from scoring.canary import TOLERANCE

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "outcrop.rules.yaml"
HOUR = 60
ROUTE = 'route="/v2/models/{model}/infer"'
DECILES = range(1, 11)
EVEN = dict.fromkeys(DECILES, 0.1)
# Everything in the last decile: the largest possible drift.
PILED = dict.fromkeys(DECILES, 0.0) | {10: 1.0}

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="no promtool: install Debian's prometheus, or run `make test-monitoring` once",
)


@dataclass
class Scenario:
    """Samples scraped from two pods, one a minute; the pods are healthy and idle at first."""

    minutes: int
    series: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def __post_init__(self) -> None:
        for pod in ("a", "b"):
            self.set(f'up{{job="outcrop",pod="{pod}"}}', 1)
            self.set(f'outcrop_ready{{pod="{pod}"}}', 1)
            self.set(f'outcrop_p_level_ratio{{version="1",pod="{pod}"}}', 0.01)
            self.set(f'outcrop_work_requests_max{{pod="{pod}"}}', 66)
            self.set(f'outcrop_work_requests{{pod="{pod}"}}', 1)
            self.set(f'outcrop_body_held_bytes_max{{pod="{pod}"}}', 640)
            self.set(f'outcrop_body_held_bytes{{pod="{pod}"}}', 0)
            self.set(f'outcrop_canary_difference_ratio{{pod="{pod}"}}', 1e-6)
            self.set(f'outcrop_canary_flags{{pod="{pod}"}}', 0)
            self.set(f'outcrop_canary_p_values{{pod="{pod}"}}', 0)
            self.count(f'outcrop_canary_checked_timestamp_seconds{{pod="{pod}"}}', 60)

            self.requests(0, pod=pod)
            self.rows(0, pod=pod)
            for latent in (0, 1):
                for decile in DECILES:
                    labels = f'version="1",latent="{latent}",decile="{decile}",pod="{pod}"'
                    self.set(f"outcrop_latent_reference_ratio{{{labels}}}", 0.1)

    def set(self, name: str, value: float, since: int = 0) -> None:
        """Set a gauge from a minute on."""
        values = self.series.setdefault(name, [0.0] * (self.minutes + 1))
        values[since:] = [value] * len(values[since:])

    def count(self, name: str, each: float, since: int = 0, until: int | None = None) -> None:
        """Increase a counter by `each` per minute, from `since` until `until`."""
        values = self.series.setdefault(name, [0.0] * (self.minutes + 1))
        last = self.minutes if until is None else until
        for minute in range(since, self.minutes + 1):
            values[minute] += each * min(minute - since, last - since)

    def vanish(self, pod: str, since: int) -> None:
        """Remove a pod from a minute on."""
        for name, values in self.series.items():
            if f'pod="{pod}"' in name:
                del values[since:]

    def requests(
        self, each: float, since: int = 0, *, code: str = "200", seconds: float = 1, pod: str = "a"
    ) -> None:
        """Add `each` requests per minute, with a status code and a duration in seconds."""
        self.count(f'outcrop_requests_total{{{ROUTE},code="{code}",pod="{pod}"}}', each, since)
        for bound in ("1", "10", "30", "+Inf"):
            name = f'outcrop_request_duration_seconds_bucket{{{ROUTE},le="{bound}",pod="{pod}"}}'
            self.count(name, each if seconds <= float(bound) else 0, since)
        refused = each if code == "429" else 0
        self.count(f'outcrop_rejected_total{{reason="busy",pod="{pod}"}}', refused, since)

    def rows(
        self,
        each: float,
        since: int = 0,
        until: int | None = None,
        *,
        eligible: float = 0.0,
        anomaly: float = 0.01,
        too_good: float = 0.0001,
        extrapolated: float = 0.0,
        unscored: float = 0.0,
        outside: float = 0.0,
        known: bool = True,
        shares: Mapping[int, float] = EVEN,
        version: str = "1",
        pod: str = "a",
    ) -> None:
        """Add `each` rows per minute.

        `eligible`, `extrapolated` (the S/N alone makes them ineligible), `unscored` (targets
        without the scores they should have) and `outside` (of the population) are shares of the
        rows; `anomaly`, `too_good` and `shares`, by decile of latent 0, are shares of the eligible
        rows. `known`: whether the target bits are. A tenth of the rows are sky fibers.
        """
        span = (since, until)
        for outcome, share in (("eligible", eligible), ("unscored", 1 - eligible)):
            labels = f'outcome="{outcome}",spectype="GALAXY",pod="{pod}"'
            name = f"outcrop_spectra_total{{{labels}}}"
            self.count(name, each * share, *span)
        self.count(f'outcrop_targets_unscored_total{{pod="{pod}"}}', each * unscored, *span)
        bits = "known" if known else "unknown"
        self.count(f'outcrop_targets_total{{target_bits="{bits}",pod="{pod}"}}', 0.9 * each, *span)
        for bit, share in (("OUT_OF_POPULATION", outside), ("TOO_GOOD", eligible * too_good)):
            name = f'outcrop_spectra_status_total{{bit="{bit}",pod="{pod}"}}'
            self.count(name, each * share, *span)
        name = f'outcrop_spectra_extrapolated_total{{pod="{pod}"}}'
        self.count(name, each * extrapolated, *span)

        flagged = each * eligible * anomaly
        name = f'outcrop_anomalies_total{{flag="anomaly",spectype="GALAXY",pod="{pod}"}}'
        self.count(name, flagged, *span)
        for latent, held in ((0, shares), (1, EVEN)):
            for decile, share in held.items():
                labels = f'version="{version}",latent="{latent}",decile="{decile}",pod="{pod}"'
                name = f"outcrop_latent_spectra_total{{{labels}}}"
                self.count(name, each * eligible * share, *span)

    def causes(
        self, each: float, instrumental: float, since: int = 0, until: int | None = None
    ) -> None:
        """Add `each` explained spectra with a flag per minute, a share of them instrumental."""
        for cause, share in (("sky_residual", instrumental), ("rare", 1 - instrumental)):
            name = f'outcrop_causes_total{{cause="{cause}",pod="a"}}'
            self.count(name, each * share, since, until)

    def bright(self, since: int = 0, until: int | None = None, *, each: float = 250) -> None:
        """Add rows of the bright programme."""
        self.rows(each, since, until, eligible=0.5, extrapolated=0.005, unscored=0.01, outside=0.3)

    def dark(
        self, since: int = 0, until: int | None = None, *, each: float = 250, known: bool = True
    ) -> None:
        """Add rows of the dark programme, whose eligible rows are unlike the population's."""
        self.rows(
            each,
            since,
            until,
            eligible=0.002 if known else 0.1,
            anomaly=0.3,
            too_good=0.3,
            extrapolated=0.002 if known else 0.05,
            unscored=0.01,
            outside=0.898 if known else 0.0,
            known=known,
            shares=PILED,
        )


class Promtool:
    """Runs promtool on scenarios."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "test.yaml"

    def __call__(
        self, scenario: Scenario, firing: Mapping[int, Iterable[str]], *, every: int = 1
    ) -> None:
        """Assert which alerts fire at which minutes; rules are evaluated every `every` minutes."""
        checks = [
            {
                "expr": 'max by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
                ],
            }
            for minute, names in firing.items()
        ]

        series = [
            {"series": name, "values": " ".join(f"{value:.10g}" for value in values)}
            for name, values in scenario.series.items()
        ]
        test = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
        content = {"rule_files": [str(RULES)], "evaluation_interval": f"{every}m", "tests": [test]}
        self._file.write_text(yaml.safe_dump(content))

        done = subprocess.run(
            ["promtool", "test", "rules", str(self._file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def quiet(self, scenario: Scenario, *, every: int = 1) -> None:
        """Assert that nothing fires, at every fifth minute."""
        self(scenario, {minute: () for minute in range(5, scenario.minutes + 1, 5)}, every=every)


@pytest.fixture
def promtool(tmp_path: Path) -> Promtool:
    return Promtool(tmp_path)


def test_the_rules_pass_the_lint_of_promtool() -> None:
    subprocess.run(["promtool", "check", "rules", "--lint-fatal", str(RULES)], check=True)


def test_the_canarys_tolerance_is_that_of_the_code() -> None:
    assert rules.CANARY_TOLERANCE == TOLERANCE


def test_a_pod_that_is_not_ready_alerts_after_ten_minutes(promtool: Promtool) -> None:
    scenario = Scenario(40)
    scenario.set('outcrop_ready{pod="b"}', 0, since=20)
    promtool(scenario, {29: (), 31: {"OutcropNotReady"}})


def test_a_pod_that_cannot_be_scraped_alerts(promtool: Promtool) -> None:
    scenario = Scenario(40)
    scenario.vanish("b", 20)
    scenario.series['up{job="outcrop",pod="b"}'] = [1.0] * 20 + [0.0] * 21
    promtool(scenario, {29: (), 31: {"OutcropNotReady"}})


def test_no_ready_pod_alerts_after_two_minutes(promtool: Promtool) -> None:
    scenario = Scenario(40)
    for pod in ("a", "b"):
        scenario.set(f'outcrop_ready{{pod="{pod}"}}', 0, since=20)
    promtool(scenario, {21: (), 23: {"OutcropDown"}, 31: {"OutcropDown", "OutcropNotReady"}})


def test_the_absence_of_all_pods_alerts(promtool: Promtool) -> None:
    scenario = Scenario(40)
    for pod in ("a", "b"):
        scenario.vanish(pod, 20)
    # The last samples count for five more minutes.
    promtool(scenario, {20: (), 28: {"OutcropDown"}})


def test_scaling_down_does_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(120)
    scenario.bright()
    scenario.requests(30)
    scenario.vanish("b", 60)
    promtool.quiet(scenario)


def test_server_errors_alert(promtool: Promtool) -> None:
    scenario = Scenario(40)
    scenario.requests(30)
    scenario.requests(3, since=20, code="500")
    promtool(scenario, {20: (), 30: {"OutcropErrors"}})


def test_client_errors_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(40)
    scenario.requests(3)
    scenario.requests(30, since=20, code="400")
    promtool.quiet(scenario)


def test_a_single_failure_in_a_quiet_hour_does_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(60)
    scenario.count(f'outcrop_requests_total{{{ROUTE},code="500",pod="a"}}', 1, 20, 22)
    promtool.quiet(scenario)


def test_failed_readiness_probes_do_not_count_as_errors(promtool: Promtool) -> None:
    scenario = Scenario(40)
    scenario.requests(1)
    scenario.count('outcrop_requests_total{route="/readyz",code="503",pod="a"}', 60)
    promtool.quiet(scenario)


@pytest.mark.parametrize("gauge", ["work_requests", "body_held_bytes"])
def test_a_pod_that_stays_nearly_full_is_saturated(promtool: Promtool, gauge: str) -> None:
    scenario = Scenario(60)
    full = scenario.series[f'outcrop_{gauge}_max{{pod="b"}}'][0]
    scenario.set(f'outcrop_{gauge}{{pod="b"}}', 0.9 * full, since=20)
    promtool(scenario, {28: (), 45: {"OutcropSaturated"}})


def test_overload_responses_are_saturation(promtool: Promtool) -> None:
    scenario = Scenario(60)
    scenario.requests(90)
    scenario.requests(10, since=20, code="429")
    promtool(scenario, {28: (), 45: {"OutcropSaturated"}})


def test_a_queue_that_is_full_for_a_short_time_does_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(60)
    scenario.set('outcrop_work_requests{pod="b"}', 66, since=20)
    scenario.set('outcrop_work_requests{pod="b"}', 2, since=26)
    promtool.quiet(scenario)


def test_slow_requests_alert(promtool: Promtool) -> None:
    scenario = Scenario(60)
    scenario.requests(90)
    scenario.requests(10, since=20, seconds=20)
    promtool(scenario, {28: (), 45: {"OutcropSlow"}})


@pytest.mark.parametrize(
    ("gauge", "value"),
    [("difference_ratio", 0.002), ("flags", 1), ("p_values", 1), ("difference_ratio", 1e999)],
)
def test_a_canary_that_differs_alerts_at_once(promtool: Promtool, gauge: str, value: float) -> None:
    scenario = Scenario(30)
    scenario.set(f'outcrop_canary_{gauge}{{pod="b"}}', value, since=20)
    promtool(scenario, {19: (), 20: {"OutcropCanaryDiffers"}})


def test_a_canary_that_is_not_checked_for_an_hour_alerts(promtool: Promtool) -> None:
    scenario = Scenario(120)
    scenario.set('outcrop_canary_checked_timestamp_seconds{pod="b"}', 20 * 60, since=20)
    promtool(scenario, {79: (), 82: {"OutcropCanaryDiffers"}})


def test_far_more_anomalies_than_the_level_alert_until_they_end(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.bright()
    scenario.rows(80, since=60, until=90, eligible=1, anomaly=0.8)
    promtool(
        scenario, {60: (), 85: {"OutcropAnomalyShare"}, 110: {"OutcropAnomalyShare"}, 4 * HOUR: ()}
    )


def test_far_fewer_anomalies_than_the_level_alert(promtool: Promtool) -> None:
    scenario = Scenario(2 * HOUR)
    scenario.rows(250, eligible=0.7, anomaly=0.001)
    promtool(scenario, {2 * HOUR: {"OutcropAnomalyShare"}})


def test_many_spectra_that_are_too_good_alert_until_they_end(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.bright()
    # One spectrograph of ten, of which every spectrum is too good.
    scenario.rows(25, since=60, until=120, eligible=0.7, too_good=1)
    promtool(scenario, {60: (), 115: {"OutcropTooGood"}, 4 * HOUR: ()})


def test_a_petal_that_is_too_good_does_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.bright()
    scenario.rows(500, since=90, until=91, eligible=0.6, too_good=1)
    promtool.quiet(scenario)


def test_many_spectra_beyond_the_calibrated_range_alert_until_they_end(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.bright()
    scenario.rows(250, since=60, until=120, eligible=0.3, extrapolated=0.3)
    promtool(scenario, {60: (), 110: {"OutcropExtrapolated"}, 4 * HOUR: ()})


def test_a_night_that_is_all_beyond_the_calibrated_range_alerts(promtool: Promtool) -> None:
    scenario = Scenario(2 * HOUR)
    scenario.rows(250, eligible=0, extrapolated=0.6, outside=0.3)
    promtool(scenario, {2 * HOUR: {"OutcropExtrapolated"}})


def test_a_few_hundred_spectra_beyond_the_calibrated_range_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.rows(500, since=60, until=62, extrapolated=0.8)
    scenario.bright(2 * HOUR)
    scenario.rows(500, since=180, until=181, extrapolated=0.8)
    promtool.quiet(scenario)


def test_stars_of_another_survey_do_not_hide_what_the_population_shows(promtool: Promtool) -> None:
    scenario = Scenario(3 * HOUR)
    scenario.dark(each=500)
    scenario.rows(125, since=60, eligible=0.7, anomaly=0.5, shares=PILED, too_good=0.2)
    found = {"OutcropAnomalyShare", "OutcropDrift", "OutcropTooGood"}
    promtool(scenario, {60: (), 3 * HOUR: found})


def test_another_population_is_drift_until_it_ends(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.bright()
    # Half of the spectra of an hour lie in two deciles of one latent.
    scenario.rows(175, since=60, until=120, eligible=1, shares={1: 0.5, 2: 0.5})
    promtool(scenario, {60: (), 110: {"OutcropDrift"}, 4 * HOUR: ()})


def test_drift_counts_all_pods_together(promtool: Promtool) -> None:
    scenario = Scenario(2 * HOUR)
    lower, upper = ({d: 0.2 * (d in half) for d in DECILES} for half in (range(1, 6), range(6, 11)))
    scenario.rows(125, eligible=0.7, shares=lower, pod="a")
    scenario.rows(125, eligible=0.7, shares=upper, pod="b")
    promtool.quiet(scenario)


def test_a_new_model_is_compared_with_its_own_deciles(promtool: Promtool) -> None:
    scenario = Scenario(2 * HOUR)
    scenario.bright()
    for decile in DECILES:
        labels = f'version="2",latent="0",decile="{decile}",pod="b"'
        scenario.set(f"outcrop_latent_reference_ratio{{{labels}}}", PILED[decile])
    scenario.rows(125, eligible=0.7, shares=PILED, version="2", pod="b")
    promtool.quiet(scenario)


def test_targets_without_scores_alert(promtool: Promtool) -> None:
    scenario = Scenario(2 * HOUR)
    scenario.bright()
    scenario.rows(125, since=60, unscored=1)
    promtool(scenario, {60: (), 105: {"OutcropUnscored"}})


def test_no_scored_target_at_all_alerts(promtool: Promtool) -> None:
    scenario = Scenario(2 * HOUR)
    scenario.rows(250, unscored=0.9)
    promtool(scenario, {5: (), 60: {"OutcropUnscored"}})


def test_idle_days_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(48 * HOUR)
    scenario.bright(0, 2 * HOUR)
    promtool.quiet(scenario, every=5)


def test_two_hundred_anomalies_on_an_idle_day_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(3 * HOUR)
    scenario.rows(200, since=60, until=61, eligible=1, anomaly=1, shares=PILED)
    promtool.quiet(scenario)


def test_two_hundred_anomalies_in_a_night_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(4 * HOUR)
    scenario.bright()
    scenario.rows(200, since=90, until=91, eligible=1, anomaly=1, shares=PILED)
    promtool.quiet(scenario)


def test_two_hundred_rows_without_data_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(3 * HOUR)
    scenario.rows(200, since=60, until=61, unscored=1)
    promtool.quiet(scenario)


def test_a_night_of_sky_fibers_does_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(8 * HOUR)
    scenario.rows(250, eligible=0, unscored=0)
    promtool.quiet(scenario)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("minute", [2 * HOUR, 2 * HOUR + 30])
def test_a_change_from_the_bright_to_the_dark_programme_does_not_alert(
    promtool: Promtool, minute: int, known: bool
) -> None:
    scenario = Scenario(8 * HOUR)
    scenario.bright(0, minute)
    scenario.dark(minute, known=known)
    promtool.quiet(scenario)


@pytest.mark.parametrize("known", [True, False])
def test_a_night_of_both_programmes_within_half_an_hour_does_not_alert(
    promtool: Promtool, known: bool
) -> None:
    scenario = Scenario(3 * HOUR)
    scenario.bright(60, 70, each=5000)
    scenario.dark(70, 90, each=5000, known=known)
    promtool.quiet(scenario)


def test_days_of_other_targets_than_the_models_alert(promtool: Promtool) -> None:
    scenario = Scenario(72 * HOUR)
    for night in range(3):
        scenario.dark(night * 24 * HOUR, night * 24 * HOUR + 8 * HOUR)
    promtool(scenario, {23 * HOUR: (), 30 * HOUR: {"OutcropOtherPopulation"}}, every=5)


def test_dark_nights_with_bright_twilight_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(96 * HOUR)
    for night in range(4):
        start = night * 24 * HOUR
        scenario.bright(start, start + 15)
        scenario.dark(start + 15, start + 8 * HOUR)
    promtool.quiet(scenario, every=5)


def test_targets_of_unknown_bits_do_not_alert(promtool: Promtool) -> None:
    scenario = Scenario(72 * HOUR)
    scenario.bright()
    scenario.count('outcrop_targets_total{target_bits="unknown",pod="a"}', 250)
    promtool.quiet(scenario, every=5)


def nights(count: int, instrumental: float = 0.3) -> Scenario:
    """Return nights of eight hours with 150 explained anomalies an hour."""
    scenario = Scenario(count * 24 * HOUR)
    for night in range(count):
        start = night * 24 * HOUR
        scenario.causes(2.5, instrumental, start, start + 8 * HOUR)
    return scenario


def test_a_rise_of_instrumental_causes_alerts_until_it_ends(promtool: Promtool) -> None:
    scenario = nights(3)
    fault = 2 * 24 * HOUR + 60
    scenario.causes(5, 0.9, fault, fault + 120)
    promtool(
        scenario,
        {fault: (), fault + 60: {"OutcropInstrumental"}, fault + 240: (), 3 * 24 * HOUR: ()},
        every=5,
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 1.0])
def test_causes_as_in_the_nights_before_do_not_alert(promtool: Promtool, share: float) -> None:
    promtool.quiet(nights(3, share), every=5)


def test_one_petal_with_a_fault_does_not_alert(promtool: Promtool) -> None:
    scenario = nights(3)
    scenario.causes(60, 1, 50 * HOUR, 50 * HOUR + 1)
    promtool.quiet(scenario, every=5)


def test_a_few_instrumental_causes_in_a_quiet_hour_do_not_alert(promtool: Promtool) -> None:
    scenario = nights(3)
    scenario.causes(1, 1, 60 * HOUR, 61 * HOUR)
    promtool.quiet(scenario, every=5)


def test_the_first_night_that_is_explained_does_not_alert(promtool: Promtool) -> None:
    promtool.quiet(nights(1, 0.9), every=5)


def test_instrumental_causes_are_those_of_the_sdk() -> None:
    for cause in INSTRUMENTAL:
        assert cause in CAUSES
        assert f"{cause}" in RULES.read_text()


def test_failures_to_explain_are_errors(promtool: Promtool) -> None:
    scenario = Scenario(40)
    scenario.requests(30)
    scenario.count('outcrop_requests_total{route="/explain",code="504",pod="a"}', 3, 20)
    promtool(scenario, {20: (), 30: {"OutcropErrors"}})


NIGHT = 'night="20210324",instance="node"'


def night_metrics(
    hours: int,
    *,
    petals: int = 100,
    uncorrected: int = 5,
    variance: float = 1.1,
    set_apart: int = 0,
    flagged: float = 0.015,
    eligible: int = 30_000,
    night: str = NIGHT,
) -> Scenario:
    """Return what node_exporter reports for hours on a night that was summarised at minute 0."""
    scenario = Scenario(hours * HOUR)
    for correction, count in (
        ("corrected", petals - uncorrected),
        ("few_sky_fibers", uncorrected),
        ("implausible", 0),
        ("off", 0),
    ):
        scenario.set(f'outcrop_night_noise_petals{{{night},correction="{correction}"}}', count)
    for statistic, value in (("smallest", 0.5), ("median", variance), ("largest", 3.0)):
        labels = f'{night},camera="b",statistic="{statistic}"'
        scenario.set(f"outcrop_night_noise_variance_ratio{{{labels}}}", value)
    scenario.set(f"outcrop_night_set_apart_petals{{{night}}}", set_apart)
    scenario.set(f"outcrop_night_flagged_ratio{{{night}}}", flagged)
    scenario.set(f"outcrop_night_p_level_ratio{{{night}}}", 0.01)
    scenario.set(f"outcrop_night_eligible_spectra{{{night}}}", eligible)
    scenario.set(f"outcrop_night_written_timestamp_seconds{{{night}}}", 0)
    return scenario


def test_a_usual_night_does_not_alert(promtool: Promtool) -> None:
    promtool.quiet(night_metrics(47), every=5)


@pytest.mark.parametrize(
    ("change", "alert"),
    [
        ({"uncorrected": 11}, "OutcropNightNoise"),
        ({"variance": 1.3}, "OutcropNightNoise"),
        ({"variance": 0.75}, "OutcropNightNoise"),
        ({"set_apart": 1}, "OutcropNightSetApart"),
        ({"flagged": 0.021}, "OutcropNightFlagged"),
    ],
)
def test_a_night_that_is_off_alerts(promtool: Promtool, change: dict[str, Any], alert: str) -> None:
    promtool(night_metrics(1, **change), {5: (), 15: {alert}, HOUR: {alert}})


def test_the_first_petals_of_a_night_do_not_alert(promtool: Promtool) -> None:
    promtool.quiet(
        night_metrics(1, petals=5, uncorrected=5, variance=2, eligible=1500, flagged=0.05)
    )


def test_a_tree_of_healpixels_needs_no_noise_correction(promtool: Promtool) -> None:
    promtool.quiet(night_metrics(1, uncorrected=100, night='instance="node"'))


def test_a_night_that_was_not_summarised_for_two_days_alerts(promtool: Promtool) -> None:
    scenario = night_metrics(50)
    promtool(scenario, {48 * HOUR: (), 49 * HOUR: {"OutcropNightStale"}}, every=5)


def test_a_newer_summary_counts_where_an_older_one_is_still_there(promtool: Promtool) -> None:
    scenario = night_metrics(60)
    name = 'outcrop_night_written_timestamp_seconds{night="20210325",instance="node"}'
    scenario.set(name, 24 * HOUR * 60)
    promtool.quiet(scenario, every=5)
