"""Recording rules: what dashboards and alerts read, computed once.

Names are `level:metric:operations`, as Prometheus' own guide has them. Every rule keeps `endpoint`, and `version` where
versions differ in it. Requests are counted by the load balancers, so that a pod that dies takes no count with it.
"""

from typing import Final

from headrace.components.kubernetes.manifests import Manifest

WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")
"""Windows of the error ratio: those of the burn-rate alerts."""
_ROUTED: Final = '{endpoint!=""}'
_FAILED: Final = '{endpoint!="",envoy_response_code_class="5"}'


def _errors(window: str) -> str:
    """Requests answered with a 5xx or refused for want of a pod, over all; 0 where nothing failed."""
    total, failed, unserved = (
        f"sum by (endpoint) (rate({series}[{window}]))"
        for series in (
            f"envoy_cluster_upstream_rq_total{_ROUTED}",
            f"envoy_cluster_upstream_rq_xx{_FAILED}",
            f"envoy_cluster_upstream_cx_none_healthy{_ROUTED}",
        )
    )
    return f"(({failed} or 0 * {total}) + ({unserved} or 0 * {total})) / ({total} + ({unserved} or 0 * {total}) > 0)"


def _quantile(quantile: float) -> str:
    """Seconds from request to answer at the balancer; Envoy measures in milliseconds."""
    buckets = f"sum by (endpoint, version, le) (rate(envoy_cluster_upstream_rq_time_bucket{_ROUTED}[5m]))"
    return f"histogram_quantile({quantile}, {buckets}) / 1000"


RECORDING_RULES: Final[list[Manifest]] = [
    {
        "record": "version:headrace_requests:rate5m",
        "expr": f"sum by (endpoint, version) (rate(envoy_cluster_upstream_rq_total{_ROUTED}[5m]))",
    },
    *({"record": f"endpoint:headrace_errors:ratio_rate{window}", "expr": _errors(window)} for window in WINDOWS),
    {"record": "version:headrace_latency_seconds:p50_5m", "expr": _quantile(0.5)},
    {"record": "version:headrace_latency_seconds:p99_5m", "expr": _quantile(0.99)},
    {
        "record": "version:headrace_requests_executing:mean5m",
        "expr": "sum by (endpoint, version) (rate(headrace_request_executing_seconds_total[5m]))",
    },
    {
        "record": "version:headrace_requests_queued:mean5m",
        "expr": "sum by (endpoint, version) (rate(headrace_request_queued_seconds_total[5m]))",
    },
    {
        "record": "version:headrace_requests_refused:rate5m",
        "expr": "sum by (endpoint, version) (rate(headrace_requests_refused_total[5m]))",
    },
    {
        "record": "version:headrace_requests_per_call:mean5m",
        "expr": "sum by (endpoint, version) (rate(headrace_model_calls_requests_total[5m]))"
        " / sum by (endpoint, version) (rate(headrace_model_calls_total[5m]) > 0)",
    },
    {
        "record": "version:headrace_replicas:max",
        "expr": "max by (namespace, version) (headrace_autoscaler_replicas)",
    },
    {
        "record": "phase:headrace_start_seconds:p50_1h",
        "expr": "histogram_quantile(0.5, sum by (phase, le)"
        " (rate(headrace_autoscaler_start_phase_seconds_bucket[1h])))",
    },
]
