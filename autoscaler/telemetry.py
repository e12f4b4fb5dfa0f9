"""Telemetry: the autoscaler's own metrics, served on its health port."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()

_VERSION = ["namespace", "version"]

leading = Gauge("headrace_autoscaler_leading", "1 while this replica holds the lease.", registry=registry)
versions = Gauge("headrace_autoscaler_versions", "Versions under control.", registry=registry)
tick_seconds = Histogram(
    "headrace_autoscaler_tick_seconds",
    "Time to look at all versions once.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=registry,
)
replicas = Gauge("headrace_autoscaler_replicas", "Pods wanted.", _VERSION, registry=registry)
concurrency = Gauge("headrace_autoscaler_concurrency", "Admission limit per pod.", _VERSION, registry=registry)
demand = Gauge("headrace_autoscaler_demand", "Requests at once that the load asks for.", _VERSION, registry=registry)
cold_start_seconds = Gauge(
    "headrace_autoscaler_cold_start_seconds", "Median time from pod creation to Ready.", _VERSION, registry=registry
)
scalings = Counter(
    "headrace_autoscaler_scalings", "Changes of replicas or concurrency, by reason.", [*_VERSION, "reason"],
    registry=registry,
)  # fmt: skip
held = Counter(
    "headrace_autoscaler_held", "Looks at which signals could not be trusted, by reason.", [*_VERSION, "reason"],
    registry=registry,
)  # fmt: skip
scrape_failures = Counter(
    "headrace_autoscaler_scrape_failures", "Sources of load that could not be read.", ["source"], registry=registry
)
api_failures = Counter(
    "headrace_autoscaler_api_failures", "Requests to the API server that failed.", ["request"], registry=registry
)
wakes = Counter("headrace_autoscaler_wakes", "Wake-up calls.", registry=registry)


def forget(namespace: str, version: str) -> None:
    """Removes the series of a version that is no longer under control."""
    for metric in (replicas, concurrency, demand, cold_start_seconds):
        metric.remove_by_labels({"namespace": namespace, "version": version})
