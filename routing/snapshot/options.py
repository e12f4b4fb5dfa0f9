"""Options: the numbers and addresses of the proxies' configuration, each with the reason for its value."""

from dataclasses import dataclass

from headrace.contract import names, request_body

MEBIBYTE = request_body.MEBIBYTE


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is not read from the cluster. Tests move the addresses to loopback."""

    pop_port: int = names.POP_PORT
    load_balancer_port: int = names.LOAD_BALANCER_PORT
    bind_address: str = "0.0.0.0"
    tls_directory: str = "/etc/headrace/tls"
    """Holds tls.crt and tls.key; read by the PopProxy's Envoy, which also watches it for rotation."""

    audience: str = names.TOKEN_AUDIENCE
    clock_skew_seconds: int = 60
    """Tolerance for `exp` and `nbf`: Envoy's default, made explicit so that no release of Envoy changes it."""
    token_lifetime_seconds: int = 24 * 3600
    """Longest `exp - iat` of a caller's token: a token that never expires cannot be revoked."""

    collector: str = ""
    """Host and port of what takes spans, OTLP over gRPC; empty: nothing is traced."""

    body_bytes: int = request_body.LARGEST_BYTES
    """Largest request body; more is 413."""
    large_body_bytes: int = request_body.LARGE_BYTES
    """Larger bodies are counted, and are not kept for a retry by the PopProxy."""
    large_bodies: int = request_body.LARGE_AT_ONCE
    """Most large bodies at once in each proxy; more is 429. It bounds the proxy's memory."""
    model_body_bytes: int = MEBIBYTE
    """Largest body whose `model` the PopProxy reads for routing: Envoy parses the whole document for that, into many
    times its size, in a worker thread that serves other callers too."""
    request_headers_kib: int = 8
    """Request line and headers together; service-account tokens take about 1.5 KiB. More is 431."""
    headers_count: int = 100
    headers_timeout_seconds: float = 10.0
    """From the first byte of a request to the end of its headers (slowloris)."""
    request_timeout_seconds: float = 10.0
    """From the first byte of a request to its last; 16 MiB in that time need 13 Mbit/s. Longer is 408."""
    client_idle_seconds: float = 900.0
    """A client's kept-alive connection without a request."""
    connection_seconds: float = 3600.0
    """Longest life of a client's connection, ended between requests, so that load spreads over new proxies."""

    upstream_idle_seconds: float = 60.0
    """Unused connection to a pod. Below the front's keep-alive (75 s): the side that sends requests closes first."""
    connect_timeout_seconds: float = 1.0
    """TCP connect to a pod or a LoadBalancer; inside a cluster it takes under a millisecond or will not work."""
    retries: int = 2
    """Extra attempts for a request that no pod has begun to read."""
    retry_budget_percent: float = 20.0
    """Share of active requests that may be retries, so that an outage does not multiply its own load."""
    edge_margin_seconds: float = 2.0
    """Added to an endpoint's time limit at the PopProxy: the LoadBalancer's 504 arrives before the PopProxy's own."""
    overload_retry_seconds: int = 1
    """Retry-After of a refusal for overload, which may be over as soon as one request ends."""
    absent_retry_seconds: int = 5
    """Retry-After while no pod is ready."""
