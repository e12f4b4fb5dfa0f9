"""Telemetry: the rollout controller's own metrics, served on its health port."""

import functools

from prometheus_client import CollectorRegistry, Counter, Gauge

registry = CollectorRegistry()

_VERSION = ["endpoint", "version"]
_counter = functools.partial(Counter, namespace="headrace_rollout", registry=registry)
_gauge = functools.partial(Gauge, namespace="headrace_rollout", registry=registry)

leading = _gauge("leading", "1 while this replica holds the lease and decides, 0 while it stands by.")
under_way = _gauge("under_way", "Rollouts that have not ended.")
weight = _gauge(
    "weight", "Share of the traffic that a new version has, in percent, while its rollout goes on.", _VERSION
)
ended = _counter("ended", "Rollouts that have ended, by phase and reason.", ["phase", "reason"])
compared = _counter(
    "compared",
    "Predictions compared with those of the version before, or of the one that serves beside a shadow, by verdict.",
    [*_VERSION, "verdict"],
)
read_failures = _counter("read_failures", "Balancers that could not be asked for their counters.")
watch_failures = _counter(
    "watch_failures", "Lists and watches of the API server that failed, by what was asked.", ["kind"]
)
write_failures = _counter("write_failures", "Statuses that could not be written; they are tried again.")
