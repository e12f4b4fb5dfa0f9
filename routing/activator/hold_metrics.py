"""The activator's own metrics, served on its health port."""

import functools

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()
_counter, _gauge = functools.partial(Counter, registry=registry), functools.partial(Gauge, registry=registry)

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)

held = _gauge("headrace_activator_held", "Requests that wait for a pod now.")
ended = _counter(
    "headrace_activator_requests",
    "Requests that asked, by how it ended: given (to a pod), left (by their caller), late, or why they were refused.",
    ["outcome"],
)
held_seconds = Histogram(
    "headrace_activator_held_seconds", "Seconds that requests waited for a pod.", buckets=_SECONDS, registry=registry
)
start_seconds = Histogram(
    "headrace_activator_start_seconds",
    "Seconds from the first request of a version without a pod to its first ready pod.",
    buckets=_SECONDS,
    registry=registry,
)
watch_failures = _counter(
    "headrace_activator_watch_failures", "Lists or watches of the API server that failed.", ["resource"]
)
