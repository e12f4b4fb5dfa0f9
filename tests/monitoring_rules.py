"""Rules under promtool: what a test makes up of series, and what Prometheus makes of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

from promtool import promtool

from headrace.components.monitoring.alert_rules import ALERTS
from headrace.components.monitoring.cost_rules import COST_RULES
from headrace.components.monitoring.recording_rules import RECORDING_RULES

GROUPS: dict[str, Any] = {
    "groups": [
        {"name": "recording", "interval": "30s", "rules": RECORDING_RULES},
        {"name": "alerts", "rules": [alert.rule() for alert in ALERTS]},
        {"name": "cost", "interval": "60s", "rules": COST_RULES},
    ]
}
"""As the cluster gets them."""
FRAUD = 'endpoint="fraud",version="v1"'
TOTAL = f"envoy_cluster_upstream_rq_total{{{FRAUD}}}"
FAILED = f'envoy_cluster_upstream_rq_xx{{{FRAUD},envoy_response_code_class="5"}}'
UNSERVED = f"envoy_cluster_upstream_cx_none_healthy{{{FRAUD}}}"
LEADING = "headrace_autoscaler_leading"


def judged(folder: Path, *tests: dict[str, Any]) -> str:
    """What promtool says of the tests; empty where all hold."""
    recording, alerts, cost = GROUPS["groups"]
    silent = [{**rule, "annotations": {}} for rule in alerts["rules"]]  # words are not compared
    groups = {"groups": [recording, {"name": "alerts", "rules": silent}, cost]}
    (folder / "rules.json").write_text(json.dumps(groups))  # JSON is YAML
    asked = {"rule_files": ["rules.json"], "evaluation_interval": "30s", "tests": list(tests)}
    (folder / "tests.json").write_text(json.dumps(asked))
    ran = subprocess.run(
        [promtool(), "test", "rules", "tests.json"], cwd=folder, capture_output=True, text=True, check=False
    )
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def recorded(series: dict[str, str], at: str, **expected: Any) -> dict[str, Any]:
    """A test of promtool: from these series, a minute a value, these expressions have these samples at a time."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": expr, "eval_time": at, "exp_samples": [{"labels": labels, "value": value}]}
            for expr, (labels, value) in expected.items()
        ],
    }


def alerting(series: dict[str, str], at: str, alert: str, *labels: dict[str, str]) -> dict[str, Any]:
    """A test of promtool: which alerts of this name there are then, by their labels besides severity."""
    (rule,) = [each for each in ALERTS if each.name == alert]
    alerts = [{"exp_labels": {"severity": rule.severity, **each}} for each in labels]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": rule.full_name, "exp_alerts": alerts}],
    }
