"""The committed rules are those of the source; a scale changes only their spans of time."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.prometheus.render import main, render
from deploy.prometheus.rules import Rules

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
_SPANS = re.compile(r"\b\d+(ms|s|m|h)\b|> 3600|> 60$|> 172800|> 2880$", re.MULTILINE)


def alerts() -> dict[str, dict[str, dict[str, str]]]:
    found = [rule for group in Rules(1, "R").groups() for rule in group["rules"]]
    return {rule["alert"]: rule for rule in found if "alert" in rule}


def test_the_committed_rules_are_those_of_the_source() -> None:
    assert (FOLDER / "outcrop.rules.yaml").read_text() == render()


def test_the_committed_resource_holds_the_same_rules() -> None:
    text = (FOLDER / "prometheusrule.yaml").read_text()
    assert text == render(resource=True)
    content = yaml.safe_load(text)
    assert content["kind"] == "PrometheusRule"
    assert content["spec"] == yaml.safe_load(render())


def test_a_scale_changes_every_span_of_time_and_nothing_else() -> None:
    slow, fast = render(1), render(1 / 60)
    for long, short in (
        ("10m", "10s"),
        ("1h", "1m"),
        ("30s", "500ms"),
        ("> 3600", "> 60"),
        ("> 172800", "> 2880"),
    ):
        assert long in slow
        assert long not in fast
        assert fast.count(short) == slow.count(long)
    assert _SPANS.sub("", slow) == _SPANS.sub("", fast)


def test_the_command_line_takes_a_fraction_and_the_address_of_a_runbook(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--scale", "1/60", "--runbook", "https://docs.example.org/runbook"])
    text = capsys.readouterr().out
    assert text == render(1 / 60, "https://docs.example.org/runbook")
    assert "https://docs.example.org/runbook#outcropdrift" in text


def test_every_alert_carries_its_entry_in_the_runbook() -> None:
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    assert list(entries) == list(alerts())
    for name, alert in alerts().items():
        assert alert["annotations"]["runbook_url"] == f"R#{name.lower()}"
        parts = re.findall(r"^\*\*(\w+)\.\*\* ", entries[name], re.MULTILINE)
        assert parts == ["Means", "Look", "Do"], name

        carried = alert["annotations"]["runbook"]
        assert re.findall(r"^(\w+)\. ", carried, re.MULTILINE) == parts
        # No link or emphasis that only Markdown shows, and nothing that Prometheus would expand.
        assert not re.search(r"\]\(|\*\*|\{\{", carried)
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", entries[name]).replace("**", "").split()
        assert carried.split() == words


def test_the_committed_alerts_have_no_link_that_leads_nowhere() -> None:
    for text in (render(), render(resource=True)):
        assert "runbook_url" not in text


def test_the_runbook_names_the_critical_alerts() -> None:
    for name, alert in alerts().items():
        entry = RUNBOOK.split(f"## {name}\n")[1].split("\n## ")[0]
        assert ("Critical." in entry) == (alert["labels"]["severity"] == "critical"), name


def test_every_command_of_the_runbook_names_its_namespace() -> None:
    commands = re.findall(r"kubectl [^`]*", RUNBOOK)
    assert commands
    for command in commands:
        # A node has no namespace; a kustomization contains its own.
        assert re.match(r"kubectl (-n outcrop|cordon|apply -k) ", command), command
