"""The committed dashboard is that of the source, and queries only existing series."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.dashboard import ROWS, dashboard, expressions
from deploy.prometheus.rules import Rules
from service.monitoring.metrics import documentation

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "deploy" / "grafana" / "outcrop.json"
RULES = [rule for group in Rules(1, "").groups() for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
SERIES = re.compile(r"\b(?:outcrop|process)[:_][a-z0-9_:]+")


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    return json.loads(COMMITTED.read_text())["panels"]


def known() -> set[str]:
    """Return all series of the service and the rules."""
    names = set(RECORDED)
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", documentation(), re.MULTILINE):
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names |= {name + part for part in parts}
    return names


def test_the_committed_dashboard_is_that_of_the_source() -> None:
    assert COMMITTED.read_text() == dashboard()


def test_its_rows_are_the_load_the_scores_and_the_model(panels: list[dict[str, Any]]) -> None:
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == list(ROWS)
    assert rows == [
        "Traffic",
        "Errors",
        "Latency",
        "Saturation",
        "Scores of eligible spectra",
        "The night",
        "Model",
    ]


def test_every_expression_is_in_a_panel(panels: list[dict[str, Any]]) -> None:
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert sorted(shown) == sorted(expressions().values())


def test_every_queried_series_exists_in_the_service_or_the_rules() -> None:
    for expr in (*expressions().values(), *(rule["expr"] for rule in RULES)):
        names = set(SERIES.findall(expr))
        assert names, expr
        assert names <= known(), expr


def test_every_recorded_series_is_queried() -> None:
    used = " ".join([*expressions().values(), *(rule["expr"] for rule in RULES)])
    for name in RECORDED:
        assert re.search(rf"{name}\b", used), name


def test_panels_do_not_overlap(panels: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
