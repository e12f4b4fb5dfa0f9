"""The dashboard and the rules ask for series that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from headrace.components.monitoring.alert_rules import ALERTS
from headrace.components.monitoring.cost_rules import COST_RULES
from headrace.components.monitoring.dashboards import dashboard
from headrace.components.monitoring.recording_rules import RECORDING_RULES

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
"""Tests hold the page against what the programs expose."""


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in (*RECORDING_RULES, *COST_RULES))
    yield from (alert.expr for alert in ALERTS)
    yield from (target["expr"] for panel in json.loads(dashboard())["panels"] for target in panel["targets"])


def test_every_series_is_exposed_by_a_program_or_recorded_by_a_rule() -> None:
    exposed = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE))
    exposed |= {f"{name}_bucket" for name in exposed}
    known = exposed | {rule["record"] for rule in (*RECORDING_RULES, *COST_RULES)}

    asked = {
        name
        for expression in expressions()
        for name in re.findall(r"\b(?:\w+:)?(?:headrace|envoy)_\w+(?::\w+)?\b(?!=)", expression)
    }

    assert len(asked) > 20
    assert asked - known == set()


def test_the_dashboard_is_what_grafana_imports() -> None:
    board = json.loads(dashboard())

    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
    assert {variable["name"] for variable in board["templating"]["list"]} == {"source", "endpoint"}
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"])
    assert all(target["legendFormat"] for panel in board["panels"] for target in panel["targets"])
