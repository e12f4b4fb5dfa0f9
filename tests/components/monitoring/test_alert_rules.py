"""Alerts, as Prometheus itself raises them: for what somebody must know of, and not for what ends by itself."""

import re
from pathlib import Path

import pytest
from monitoring_rules import FAILED, FRAUD, LEADING, TOTAL, alerting, judged

from headrace.components.monitoring.alert_rules import ALERTS

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"


@pytest.mark.slow
def test_five_percent_of_errors_wake_somebody_and_a_short_fault_does_not(tmp_path: Path) -> None:
    lasting = {TOTAL: "0+600x90", FAILED: "0+30x90"}
    short = {TOTAL: "0+600x90", FAILED: "0x80 0+30x3 90x7"}

    told = judged(
        tmp_path,
        alerting(lasting, "90m", "ErrorBudgetBurnsFast", {"endpoint": "fraud"}),
        alerting(short, "90m", "ErrorBudgetBurnsFast"),
    )

    assert told == ""


@pytest.mark.slow
def test_what_stands_still_is_told(tmp_path: Path) -> None:
    refused = 'headrace_activator_requests_total{outcome="queue-full"}'
    unwritten = 'headrace_tables_commits_total{endpoint="fraud",outcome="PermanentError"}'

    told = judged(
        tmp_path,
        alerting({LEADING: "0x20"}, "10m", "AutoscalerWithoutLeader", {}),
        alerting({}, "10m", "AutoscalerWithoutLeader", {}),
        alerting({LEADING: "1x20"}, "10m", "AutoscalerWithoutLeader"),
        alerting({refused: "0+1x20"}, "15m", "RequestsLeftUnheld", {"outcome": "queue-full"}),
        alerting({unwritten: "0+5x40"}, "30m", "TableNotWritten", {"endpoint": "fraud", "outcome": "PermanentError"}),
        alerting({'headrace_tables_drifted_columns{endpoint="fraud",kind="input"}': "0x5 2x10"}, "10m", "Drift",
                 {"endpoint": "fraud", "kind": "input"}),
        alerting({'headrace_tables_drifted_columns{endpoint="fraud",kind="input"}': "0x20"}, "10m", "Drift"),
        alerting({f"headrace_pod_memory_ratio{{{FRAUD}}}": "0.96x20"}, "10m", "MemoryNearLimit",
                 {"endpoint": "fraud", "version": "v1"}),
    )  # fmt: skip

    assert told == ""


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    written = set(re.findall(r"^### (Headrace\w+)$", PAGE.read_text(), re.MULTILINE))

    assert written == {alert.full_name for alert in ALERTS}
