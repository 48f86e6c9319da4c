"""The rules as committed, judged by promtool: each alert fires for its reason, and for no other.

The nights are simulated, with the numbers that the rules assume: 15,000 rows an hour; in bright time
seven of ten are eligible, in dark time one of ten, and those are another population.
"""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from deploy.prometheus import rules
from scoring.canary import TOLERANCE

RULES = Path(__file__).parents[3] / "deploy" / "prometheus" / "outcrop.rules.yaml"
HOUR = 60
ROUTE = 'route="/v2/models/{model}/infer"'
DECILES = range(1, 11)
EVEN = dict.fromkeys(DECILES, 0.1)
# Everything in the last decile: the most anomalous that a population can be.
PILED = dict.fromkeys(DECILES, 0.0) | {10: 1.0}

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="no promtool: install Debian's prometheus, or run `make test-monitoring` once",
)


@dataclass
class Story:
    """What Prometheus scrapes from two pods, minute by minute; healthy and idle at first."""

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
            self.count(f'outcrop_canary_checked_timestamp_seconds{{pod="{pod}"}}', 60)
            self.requests(0, pod=pod)
            self.rows(0, pod=pod)
            for latent in (0, 1):
                for decile in DECILES:
                    labels = f'version="1",latent="{latent}",decile="{decile}",pod="{pod}"'
                    self.set(f"outcrop_latent_reference_ratio{{{labels}}}", 0.1)

    def set(self, name: str, value: float, since: int = 0) -> None:
        """A gauge has a value from some minute on."""
        values = self.series.setdefault(name, [0.0] * (self.minutes + 1))
        values[since:] = [value] * len(values[since:])

    def count(self, name: str, each: float, since: int = 0, until: int | None = None) -> None:
        """A counter grows by so much each minute of some time."""
        values = self.series.setdefault(name, [0.0] * (self.minutes + 1))
        last = self.minutes if until is None else until
        for minute in range(since, self.minutes + 1):
            values[minute] += each * min(minute - since, last - since)

    def vanish(self, pod: str, since: int) -> None:
        """A pod is gone."""
        for name, values in self.series.items():
            if f'pod="{pod}"' in name:
                del values[since:]

    def requests(
        self, each: float, since: int = 0, *, code: str = "200", seconds: float = 1, pod: str = "a"
    ) -> None:
        """So many requests each minute are answered with a code, after less than some time."""
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
        unscored: float = 0.0,
        shares: Mapping[int, float] = EVEN,
        version: str = "1",
        pod: str = "a",
    ) -> None:
        """So many rows each minute.

        `eligible` and `unscored` (targets that should have scores) are shares of the rows,
        `anomaly` and those in each decile of latent 0 shares of the eligible ones.
        """
        span = (since, until)
        for outcome, share in (("eligible", eligible), ("unscored", 1 - eligible)):
            name = f'outcrop_spectra_total{{outcome="{outcome}",pod="{pod}"}}'
            self.count(name, each * share, *span)
        self.count(f'outcrop_targets_unscored_total{{pod="{pod}"}}', each * unscored, *span)
        flagged = each * eligible * anomaly
        self.count(f'outcrop_anomalies_total{{flag="anomaly",pod="{pod}"}}', flagged, *span)
        for latent, held in ((0, shares), (1, EVEN)):
            for decile, share in held.items():
                labels = f'version="{version}",latent="{latent}",decile="{decile}",pod="{pod}"'
                name = f"outcrop_latent_spectra_total{{{labels}}}"
                self.count(name, each * eligible * share, *span)

    def bright(self, since: int = 0, until: int | None = None, *, each: float = 250) -> None:
        """Hours of the bright programme."""
        self.rows(each, since, until, eligible=0.7, unscored=0.01)

    def dark(self, since: int = 0, until: int | None = None, *, each: float = 250) -> None:
        """Hours of the dark programme: what is eligible is as anomalous as can be."""
        self.rows(each, since, until, eligible=0.1, anomaly=0.3, unscored=0.01, shares=PILED)


class Judge:
    """Runs promtool on stories."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "test.yaml"

    def __call__(
        self, story: Story, firing: Mapping[int, Iterable[str]], *, every: int = 1
    ) -> None:
        """Assert which alerts fire at which minutes; rules are evaluated every so many."""
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
            for name, values in story.series.items()
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

    def quiet(self, story: Story, *, every: int = 1) -> None:
        """Assert that nothing fires, looked at every five minutes."""
        self(story, {minute: () for minute in range(5, story.minutes + 1, 5)}, every=every)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path)


def test_promtool_finds_no_fault_in_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", "--lint-fatal", str(RULES)], check=True)


def test_the_canarys_tolerance_is_that_of_the_code() -> None:
    assert rules.CANARY_TOLERANCE == TOLERANCE


def test_a_pod_that_is_not_ready_is_told_after_ten_minutes(judge: Judge) -> None:
    story = Story(40)
    story.set('outcrop_ready{pod="b"}', 0, since=20)
    judge(story, {29: (), 31: {"OutcropNotReady"}})


def test_a_pod_that_cannot_be_scraped_is_told(judge: Judge) -> None:
    story = Story(40)
    story.vanish("b", 20)
    story.series['up{job="outcrop",pod="b"}'] = [1.0] * 20 + [0.0] * 21
    judge(story, {29: (), 31: {"OutcropNotReady"}})


def test_that_no_pod_is_ready_wakes_somebody_after_two_minutes(judge: Judge) -> None:
    story = Story(40)
    for pod in ("a", "b"):
        story.set(f'outcrop_ready{{pod="{pod}"}}', 0, since=20)
    judge(story, {21: (), 23: {"OutcropDown"}, 31: {"OutcropDown", "OutcropNotReady"}})


def test_that_no_pod_is_there_wakes_somebody(judge: Judge) -> None:
    story = Story(40)
    for pod in ("a", "b"):
        story.vanish(pod, 20)
    # What was scraped last counts for five minutes more.
    judge(story, {20: (), 28: {"OutcropDown"}})


def test_pods_that_come_and_go_are_no_reason(judge: Judge) -> None:
    story = Story(120)
    story.bright()
    story.requests(30)
    story.vanish("b", 60)
    judge.quiet(story)


def test_errors_wake_somebody(judge: Judge) -> None:
    story = Story(40)
    story.requests(30)
    story.requests(3, since=20, code="500")
    judge(story, {20: (), 30: {"OutcropErrors"}})


def test_errors_that_the_client_made_are_no_reason(judge: Judge) -> None:
    story = Story(40)
    story.requests(3)
    story.requests(30, since=20, code="400")
    judge.quiet(story)


def test_a_lone_failure_in_a_quiet_hour_is_no_reason(judge: Judge) -> None:
    story = Story(60)
    story.count(f'outcrop_requests_total{{{ROUTE},code="500",pod="a"}}', 1, 20, 22)
    judge.quiet(story)


def test_probes_that_answer_503_are_no_errors(judge: Judge) -> None:
    story = Story(40)
    story.requests(1)
    story.count('outcrop_requests_total{route="/readyz",code="503",pod="a"}', 60)
    judge.quiet(story)


@pytest.mark.parametrize("gauge", ["work_requests", "body_held_bytes"])
def test_a_pod_that_is_nearly_full_for_long_is_saturated(judge: Judge, gauge: str) -> None:
    story = Story(60)
    full = story.series[f'outcrop_{gauge}_max{{pod="b"}}'][0]
    story.set(f'outcrop_{gauge}{{pod="b"}}', 0.9 * full, since=20)
    judge(story, {28: (), 45: {"OutcropSaturated"}})


def test_clients_that_are_turned_away_are_saturation(judge: Judge) -> None:
    story = Story(60)
    story.requests(90)
    story.requests(10, since=20, code="429")
    judge(story, {28: (), 45: {"OutcropSaturated"}})


def test_a_full_queue_that_empties_is_no_reason(judge: Judge) -> None:
    story = Story(60)
    story.set('outcrop_work_requests{pod="b"}', 66, since=20)
    story.set('outcrop_work_requests{pod="b"}', 2, since=26)
    judge.quiet(story)


def test_requests_that_take_long_are_slow(judge: Judge) -> None:
    story = Story(60)
    story.requests(90)
    story.requests(10, since=20, seconds=20)
    judge(story, {28: (), 45: {"OutcropSlow"}})


@pytest.mark.parametrize(
    ("gauge", "value"), [("difference_ratio", 0.002), ("flags", 1), ("difference_ratio", 1e999)]
)
def test_a_canary_that_differs_wakes_somebody_at_once(
    judge: Judge, gauge: str, value: float
) -> None:
    story = Story(30)
    story.set(f'outcrop_canary_{gauge}{{pod="b"}}', value, since=20)
    judge(story, {19: (), 20: {"OutcropCanaryDiffers"}})


def test_a_canary_that_is_not_checked_for_an_hour_wakes_somebody(judge: Judge) -> None:
    story = Story(120)
    story.set('outcrop_canary_checked_timestamp_seconds{pod="b"}', 20 * 60, since=20)
    judge(story, {79: (), 82: {"OutcropCanaryDiffers"}})


def test_far_more_anomalies_than_the_level_are_told_and_pass(judge: Judge) -> None:
    story = Story(4 * HOUR)
    story.bright()
    story.rows(80, since=60, until=90, eligible=1, anomaly=0.8)
    judge(story, {60: (), 85: {"OutcropAnomalyShare"}, 110: {"OutcropAnomalyShare"}, 4 * HOUR: ()})


def test_far_fewer_anomalies_than_the_level_are_told(judge: Judge) -> None:
    story = Story(2 * HOUR)
    story.rows(250, eligible=0.7, anomaly=0.001)
    judge(story, {2 * HOUR: {"OutcropAnomalyShare"}})


def test_another_population_is_drift_and_passes(judge: Judge) -> None:
    story = Story(4 * HOUR)
    story.bright()
    # Half of the spectra of an hour lie in two deciles of one latent.
    story.rows(175, since=60, until=120, eligible=1, shares={1: 0.5, 2: 0.5})
    judge(story, {60: (), 110: {"OutcropDrift"}, 4 * HOUR: ()})


def test_drift_adds_up_over_pods(judge: Judge) -> None:
    story = Story(2 * HOUR)
    lower, upper = ({d: 0.2 * (d in half) for d in DECILES} for half in (range(1, 6), range(6, 11)))
    story.rows(125, eligible=0.7, shares=lower, pod="a")
    story.rows(125, eligible=0.7, shares=upper, pod="b")
    judge.quiet(story)


def test_a_new_model_is_not_judged_by_the_deciles_of_the_old(judge: Judge) -> None:
    story = Story(2 * HOUR)
    story.bright()
    for decile in DECILES:
        labels = f'version="2",latent="0",decile="{decile}",pod="b"'
        story.set(f"outcrop_latent_reference_ratio{{{labels}}}", PILED[decile])
    story.rows(125, eligible=0.7, shares=PILED, version="2", pod="b")
    judge.quiet(story)


def test_targets_without_scores_are_told(judge: Judge) -> None:
    story = Story(2 * HOUR)
    story.bright()
    story.rows(125, since=60, unscored=1)
    judge(story, {60: (), 105: {"OutcropUnscored"}})


def test_that_no_target_at_all_has_scores_is_told(judge: Judge) -> None:
    story = Story(2 * HOUR)
    story.rows(250, unscored=0.9)
    judge(story, {5: (), 60: {"OutcropUnscored"}})


def test_idle_days_are_no_reason(judge: Judge) -> None:
    story = Story(48 * HOUR)
    story.bright(0, 2 * HOUR)
    judge.quiet(story, every=5)


def test_two_hundred_odd_rows_on_an_idle_day_are_no_reason(judge: Judge) -> None:
    story = Story(3 * HOUR)
    story.rows(200, since=60, until=61, eligible=1, anomaly=1, shares=PILED)
    judge.quiet(story)


def test_two_hundred_odd_rows_in_a_night_are_no_reason(judge: Judge) -> None:
    story = Story(4 * HOUR)
    story.bright()
    story.rows(200, since=90, until=91, eligible=1, anomaly=1, shares=PILED)
    judge.quiet(story)


def test_two_hundred_rows_without_data_are_no_reason(judge: Judge) -> None:
    story = Story(3 * HOUR)
    story.rows(200, since=60, until=61, unscored=1)
    judge.quiet(story)


def test_a_night_of_sky_fibres_is_no_reason(judge: Judge) -> None:
    story = Story(8 * HOUR)
    story.rows(250, eligible=0, unscored=0)
    judge.quiet(story)


@pytest.mark.parametrize("minute", [2 * HOUR, 2 * HOUR + 30])
def test_a_change_from_the_bright_to_the_dark_programme_is_no_reason(
    judge: Judge, minute: int
) -> None:
    story = Story(8 * HOUR)
    story.bright(0, minute)
    story.dark(minute)
    judge.quiet(story)


def test_a_night_of_both_programmes_scored_within_half_an_hour_is_no_reason(judge: Judge) -> None:
    story = Story(3 * HOUR)
    story.bright(60, 70, each=5000)
    story.dark(70, 90, each=5000)
    judge.quiet(story)
