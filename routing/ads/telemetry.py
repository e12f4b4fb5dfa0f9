"""The control plane's own metrics, served on its health port."""

import functools

from prometheus_client import CollectorRegistry, Counter, Gauge

registry = CollectorRegistry()
_counter, _gauge = functools.partial(Counter, registry=registry), functools.partial(Gauge, registry=registry)
_MESSAGE = ["role", "type"]

proxies_connected = _gauge("headrace_xds_proxies", "Proxies whose configuration stream is open.", ["role"])
responses_sent = _counter("headrace_xds_answers", "Configuration messages sent to proxies.", _MESSAGE)
responses_accepted = _counter("headrace_xds_accepted", "Configuration messages that a proxy accepted.", _MESSAGE)
responses_rejected = _counter("headrace_xds_rejected", "Configuration messages that a proxy refused.", _MESSAGE)
snapshots_published = _counter("headrace_snapshots", "Snapshots that differed from the one before.")
snapshots_failed = _counter("headrace_snapshots_failed", "Snapshots that could not be encoded.")
endpoints_served = _gauge("headrace_endpoints", "ModelEndpoint objects that are routed.")
endpoints_refused = _gauge("headrace_endpoints_refused", "ModelEndpoint objects that break a rule.")
pods_routed = _gauge("headrace_routed_pods", "Model pods that get requests.")
pods_unready_but_kept = _gauge(
    "headrace_doubted_pods", "Those of them that get requests although they are called unready."
)
watch_failures = _counter("headrace_watch_failures", "Lists or watches of the API server that failed.", ["resource"])
status_writes = _counter("headrace_status_writes", "Writes of ModelEndpoint status, by outcome.", ["outcome"])
keys_age_seconds = _gauge(
    "headrace_keys_read_timestamp_seconds",
    "When a token issuer's keys were last read, or asked for first, in seconds since 1970.",
    ["issuer"],
)
