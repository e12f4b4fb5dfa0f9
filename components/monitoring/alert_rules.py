"""Alerts: each is a state in which somebody has to do something, and docs/monitoring.md says what.

Errors of endpoints alert by burn rate in several windows (Google's Site Reliability Workbook, chapter 5): the short
window ends the alert soon after the fault, the long one keeps a short fault from waking anybody.
"""

from dataclasses import dataclass
from typing import Final

from headrace.components.kubernetes.manifests import Manifest

OBJECTIVE: Final = 0.999
"""Share of an endpoint's requests that are to be answered without fault within 30 days."""
PAGE: Final = "docs/monitoring.md"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert; `name` without its prefix."""

    name: str
    expr: str
    summary: str
    """One sentence, with Prometheus' templates."""
    lasts: str = "0m"
    severity: str = "warning"
    """`critical` wakes somebody, `warning` waits for the morning."""

    @property
    def full_name(self) -> str:
        return f"Headrace{self.name}"

    def rule(self) -> Manifest:
        """As Prometheus and PrometheusRule have it."""
        return {
            "alert": self.full_name,
            "expr": self.expr,
            "for": self.lasts,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook": f"{PAGE}#{self.full_name.lower()}"},
        }


def _burning(long: str, short: str, factor: float) -> str:
    """Whether the error budget of 30 days is spent `factor` times too fast, in both windows."""
    threshold = f"{factor} * {1 - OBJECTIVE:.4g}"
    ratio = "endpoint:headrace_errors:ratio_rate"
    return f"{ratio}{long} > {threshold} and {ratio}{short} > {threshold}"


_BUDGET: Final = "Endpoint {{ $labels.endpoint }} fails {{ $value | humanizePercentage }} of its requests"
ALERTS: Final = (
    Alert(
        name="ErrorBudgetBurnsFast",
        expr=f"({_burning('1h', '5m', 14.4)}) or ({_burning('6h', '30m', 6)})",
        summary=f"{_BUDGET}: its error budget of 30 days is gone within days.",
        lasts="2m",
        severity="critical",
    ),
    Alert(
        name="ErrorBudgetBurns",
        expr=_burning("3d", "6h", 1),
        summary=f"{_BUDGET}, more than its objective allows.",
        lasts="1h",
    ),
    Alert(
        name="VersionWithoutPods",
        expr='sum by (endpoint, version) (rate(envoy_cluster_upstream_cx_none_healthy{endpoint!=""}[5m])) > 0',
        summary="Requests for {{ $labels.endpoint }}/{{ $labels.version }} find no ready pod.",
        lasts="5m",
        severity="critical",
    ),
    Alert(
        name="RequestsRefused",
        expr="version:headrace_requests_refused:rate5m > 0.01 * version:headrace_requests:rate5m",
        summary="Pods of {{ $labels.endpoint }}/{{ $labels.version }} refuse more than 1 % of their requests.",
        lasts="10m",
    ),
    Alert(
        name="RolloutWentBack",
        expr='sum by (reason) (increase(headrace_rollout_ended_total{phase="RolledBack"}[15m])) > 0',
        summary="A rollout took itself back: {{ $labels.reason }}.",
    ),
    Alert(
        name="AutoscalerWithoutLeader",
        expr="max(headrace_autoscaler_leading) < 1 or absent(headrace_autoscaler_leading)",
        summary="No replica of the autoscaler decides; numbers of pods stay as they are.",
        lasts="2m",
        severity="critical",
    ),
    Alert(
        name="AutoscalerHolds",
        expr="sum by (namespace, version, reason) (rate(headrace_autoscaler_held_total[5m])) > 0.5",
        summary="{{ $labels.namespace }}/{{ $labels.version }} is not scaled: {{ $labels.reason }}.",
        lasts="10m",
    ),
    Alert(
        name="ConfigurationRefused",
        expr="sum by (role, type) (increase(headrace_xds_rejected_total[10m])) > 0",
        summary="A {{ $labels.role }} refused a {{ $labels.type }} and keeps what it had.",
    ),
    Alert(
        name="SnapshotFailed",
        expr="increase(headrace_snapshots_failed_total[10m]) > 0",
        summary="The control plane cannot encode its configuration; proxies keep what they had.",
        severity="critical",
    ),
    Alert(
        name="IssuerKeysOld",
        expr="time() - max by (issuer) (headrace_keys_read_timestamp_seconds) > 3600",
        summary="Keys of {{ $labels.issuer }} were not read for {{ $value | humanizeDuration }}; new ones are unknown.",
    ),
    Alert(
        name="EndpointRefused",
        expr="max(headrace_endpoints_refused) > 0",
        summary="{{ $value }} ModelEndpoint objects break a rule and are not routed.",
        lasts="5m",
    ),
    Alert(
        name="MemoryNearLimit",
        expr="max by (endpoint, version) (headrace_pod_memory_ratio) > 0.95",
        summary="A pod of {{ $labels.endpoint }}/{{ $labels.version }} uses {{ $value | humanizePercentage }}"
        " of its memory limit.",
        lasts="5m",
    ),
    Alert(
        name="WorkersEnd",
        expr="sum by (endpoint, version) (increase(headrace_worker_exits_total[15m])) > 3",
        summary="{{ $value | humanize }} worker processes of {{ $labels.endpoint }}/{{ $labels.version }} have ended"
        " within 15 minutes.",
    ),
    Alert(
        name="RequestsLeftUnheld",
        expr='sum by (outcome) (rate(headrace_activator_requests_total{outcome!~"given|left"}[5m])) > 0',
        summary="Requests for sleeping versions are refused: {{ $labels.outcome }}.",
        lasts="5m",
    ),
    Alert(
        name="RecordsLost",
        expr="sum by (endpoint, reason) (increase(headrace_records_dropped_total[15m])) > 0",
        summary="Records of {{ $labels.endpoint }} are lost: {{ $labels.reason }}.",
    ),
    Alert(
        name="TableNotWritten",
        expr='sum by (endpoint, outcome) (rate(headrace_tables_commits_total{outcome!="committed"}[10m])) > 0',
        summary="Rows of {{ $labels.endpoint }} are not written: {{ $labels.outcome }}. They wait in its pods.",
        lasts="10m",
    ),
    Alert(
        name="Drift",
        expr="max by (endpoint, kind) (headrace_tables_drifted_columns) > 0",
        summary="{{ $value }} columns ({{ $labels.kind }}) of requests to {{ $labels.endpoint }} have drifted.",
    ),
)
