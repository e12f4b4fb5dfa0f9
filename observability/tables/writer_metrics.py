"""The table writer's own metrics, served on its health port."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry: Final = CollectorRegistry()
rows = Counter("headrace_tables_rows", "Rows that were committed.", ["endpoint"], registry=registry)
telemetry_rows = Counter(
    "headrace_tables_telemetry_rows", "Spans and logs that were committed.", ["table"], registry=registry
)
commits = Counter("headrace_tables_commits", "Commits by outcome.", ["endpoint", "outcome"], registry=registry)
refused = Counter(
    "headrace_tables_refused", "Batches that were not taken, by HTTP status.", ["code"], registry=registry
)
waiting = Gauge("headrace_tables_rows_waiting", "Rows that wait for a commit.", registry=registry)
commit_seconds = Histogram(
    "headrace_tables_commit_seconds",
    "Seconds of a commit.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    registry=registry,
)
drifted_columns = Gauge(
    "headrace_tables_drifted_columns", "Columns that have drifted, by the last check.", ["endpoint", "kind"],
    registry=registry,
)  # fmt: skip
drift_checked = Gauge(
    "headrace_tables_drift_checked_timestamp_seconds", "When the last check for drift was, in seconds since the epoch.",
    ["endpoint"], registry=registry,
)  # fmt: skip
