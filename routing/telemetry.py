"""Telemetry: the control plane's own metrics, served on its health port."""

from prometheus_client import CollectorRegistry, Counter, Gauge

registry = CollectorRegistry()

proxies_connected = Gauge(
    "headrace_xds_proxies", "Proxies whose configuration stream is open.", ["role"], registry=registry
)
answers_sent = Counter(
    "headrace_xds_answers", "Configuration messages sent to proxies.", ["role", "type"], registry=registry
)
answers_accepted = Counter(
    "headrace_xds_accepted", "Configuration messages that a proxy accepted.", ["role", "type"], registry=registry
)
answers_rejected = Counter(
    "headrace_xds_rejected", "Configuration messages that a proxy refused.", ["role", "type"], registry=registry
)
snapshots_published = Counter("headrace_snapshots", "Snapshots that differed from the one before.", registry=registry)
snapshots_failed = Counter("headrace_snapshots_failed", "Snapshots that could not be encoded.", registry=registry)
endpoints_served = Gauge("headrace_endpoints", "ModelEndpoint objects that are routed.", registry=registry)
endpoints_refused = Gauge("headrace_endpoints_refused", "ModelEndpoint objects that break a rule.", registry=registry)
pods_routed = Gauge("headrace_routed_pods", "Model pods that get requests.", registry=registry)
pods_doubted = Gauge(
    "headrace_doubted_pods", "Those of them that get requests although they are called unready.", registry=registry
)
watch_failures = Counter(
    "headrace_watch_failures", "Lists or watches of the API server that failed.", ["resource"], registry=registry
)
status_writes = Counter(
    "headrace_status_writes", "Writes of ModelEndpoint status, by outcome.", ["outcome"], registry=registry
)
keys_age_seconds = Gauge(
    "headrace_keys_read_timestamp_seconds",
    "When the token issuer's keys were last read, in seconds since 1970.",
    registry=registry,
)
