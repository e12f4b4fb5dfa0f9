"""Telemetry: the autoscaler's own metrics, served on its health port."""

import functools

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()

_VERSION = ["namespace", "version"]
_BY_REASON = [*_VERSION, "reason"]


_counter = functools.partial(Counter, namespace="headrace_autoscaler", registry=registry)
_gauge = functools.partial(Gauge, namespace="headrace_autoscaler", registry=registry)

leading = _gauge("leading", "1 while this replica holds the lease and scales, 0 while it stands by.")
versions = _gauge("versions", "AutopilotPodAutoscaler objects that the leader looks at.")
tick_seconds = Histogram(
    "headrace_autoscaler_tick_seconds",
    "Seconds that a look at all versions takes, readings included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    registry=registry,
)
replicas = _gauge("replicas", "Pods wanted of the version, within its bounds.", _VERSION)
placed_pods = _gauge("placed_pods", "Pods of the version that have a node, ready or not: what costs.", _VERSION)
pod_cost_per_hour = _gauge(
    "pod_cost_per_hour",
    "Price of an hour of one pod of the version, in the currency; absent where no price is known.",
    [*_VERSION, "currency"],
)
concurrency = _gauge("concurrency", "Requests that one pod of the version admits at once.", _VERSION)
demand = _gauge("demand", "Requests at once that the load asks for, growth and backlog included.", _VERSION)
cold_start_seconds = _gauge(
    "cold_start_seconds", "Seconds from the creation of a pod to Ready, the median of the version's pods.", _VERSION
)
start_phase_seconds = Histogram(
    "headrace_autoscaler_start_phase_seconds",
    "Seconds of each phase of a pod's start: decide (only where a request waited), schedule, pull, load, warm_up.",
    ["phase"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0),
    registry=registry,
)
scalings = _counter("scalings", "Changes of pods or concurrency limit, by code of the first reason.", _BY_REASON)
held = _counter("held", "Looks at which signals were not trusted and the last decision stood, by reason.", _BY_REASON)
scrape_failures = _counter(
    "scrape_failures", "Readings that failed, by source: prometheus, pod, balancer, activator.", ["source"]
)
api_failures = _counter("api_failures", "Requests to the API server that failed, by what was asked.", ["request"])


def forget(namespace: str, version: str) -> None:
    """Removes the series of a version that is no longer under control."""
    for metric in (replicas, placed_pods, pod_cost_per_hour, concurrency, demand, cold_start_seconds):
        metric.remove_by_labels({"namespace": namespace, "version": version})


def tell_price(namespace: str, version: str, price: float | None, currency: str) -> None:
    """Replaces what was told of the price of a pod, which may have been in another currency; None: it is not known."""
    pod_cost_per_hour.remove_by_labels({"namespace": namespace, "version": version})
    if price is not None:
        pod_cost_per_hour.labels(namespace, version, currency).set(price)
