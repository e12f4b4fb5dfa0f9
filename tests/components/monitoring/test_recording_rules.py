"""Recording rules, as Prometheus itself computes them from series that a test makes up."""

import json
import subprocess
from pathlib import Path

import pytest
from monitoring_rules import FAILED, FRAUD, GROUPS, TOTAL, UNSERVED, judged, recorded
from promtool import promtool

from headrace.components.monitoring.alert_rules import ALERTS
from headrace.components.monitoring.cost_rules import COST_RULES
from headrace.components.monitoring.recording_rules import RECORDING_RULES

pytestmark = pytest.mark.slow


def test_prometheus_takes_every_rule(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(json.dumps(GROUPS))

    ran = subprocess.run(
        [promtool(), "check", "rules", "--lint-fatal", str(tmp_path / "rules.json")], capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(RECORDING_RULES) + len(COST_RULES) + len(ALERTS)} rules found" in ran.stdout


@pytest.mark.parametrize(
    ("series", "ratio"),
    [
        ({TOTAL: "0+600x20"}, 0.0),
        ({TOTAL: "0+600x20", FAILED: "0+30x20"}, 0.05),
        ({TOTAL: "0+600x20", UNSERVED: "0+200x20"}, 0.25),
        ({TOTAL: "0+600x20", FAILED: "0+40x20", UNSERVED: "0+200x20"}, 0.3),
    ],
    ids=["nothing fails", "5xx", "no pod", "both"],
)
def test_errors_are_answers_with_5xx_and_requests_without_a_pod(
    tmp_path: Path, series: dict[str, str], ratio: float
) -> None:
    name = "endpoint:headrace_errors:ratio_rate5m"

    assert judged(tmp_path, recorded(series, "15m", **{name: (f'{name}{{endpoint="fraud"}}', ratio)})) == ""


def test_latency_is_in_seconds_and_requests_are_a_second(tmp_path: Path) -> None:
    bucket = "envoy_cluster_upstream_rq_time_bucket"
    series = {
        TOTAL: "0+600x20",
        f'{bucket}{{{FRAUD},le="10"}}': "0+300x20",
        f'{bucket}{{{FRAUD},le="20"}}': "0+600x20",
        f'{bucket}{{{FRAUD},le="+Inf"}}': "0+600x20",
    }
    p50, rate = "version:headrace_latency_seconds:p50_5m", "version:headrace_requests:rate5m"
    labels = f"{{{FRAUD}}}"

    told = judged(tmp_path, recorded(series, "15m", **{p50: (p50 + labels, 0.01), rate: (rate + labels, 10)}))

    assert told == ""
