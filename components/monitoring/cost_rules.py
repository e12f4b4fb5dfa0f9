"""Cost rules: what an endpoint's pods cost, recorded each minute from the autoscaler's word of pods and prices.

A pod costs from the moment it has a node, ready or not. An endpoint of which a version has pods and no price has no
cost at all, since a part of the sum would be taken for the whole.
"""

from typing import Final

from headrace.components.kubernetes.manifests import Manifest

COST: Final = "endpoint:headrace_cost_per_hour:sum"
"""By `endpoint` and `currency`; what follows is made of it."""
_WEEK: Final = "7d"
_PRICE: Final = "headrace_autoscaler_pod_cost_per_hour"
_PODS: Final = "max by (namespace, version) (headrace_autoscaler_placed_pods)"
_REQUESTS: Final = "endpoint:headrace_requests:rate5m"


def _cost() -> str:
    """Of the pods that there are."""
    priced = f"max by (namespace, version, currency) ({_PRICE}) * on (namespace, version) group_left () {_PODS}"
    unpriced = f"{_PODS} > 0 unless on (namespace, version) {_PRICE}"
    whole = f"({priced}) unless on (namespace) ({unpriced})"
    return f'sum by (endpoint, currency) (label_replace({whole}, "endpoint", "$1", "namespace", "endpoint-(.*)"))'


COST_RULES: Final[list[Manifest]] = [
    {"record": COST, "expr": _cost()},
    {"record": _REQUESTS, "expr": 'sum by (endpoint) (rate(envoy_cluster_upstream_rq_total{endpoint!=""}[5m]))'},
    {
        # Both are sampled at the same moments, so that the sums of samples stand for the sums over time.
        "record": "endpoint:headrace_cost_per_thousand_requests:mean1h",
        "expr": f"1000 * sum_over_time({COST}[1h])"
        f" / on (endpoint) group_left () (3600 * sum_over_time({_REQUESTS}[1h]) > 0)",
    },
    {"record": f"endpoint:headrace_cost_per_hour:mean{_WEEK}", "expr": f"avg_over_time({COST}[{_WEEK}])"},
    {"record": f"endpoint:headrace_cost_per_hour:max{_WEEK}", "expr": f"max_over_time({COST}[{_WEEK}])"},
    {
        "record": f"endpoint:headrace_saving_per_hour:mean{_WEEK}",
        "expr": f"endpoint:headrace_cost_per_hour:max{_WEEK} - endpoint:headrace_cost_per_hour:mean{_WEEK}",
    },
    {
        "record": f"endpoint:headrace_saving:ratio{_WEEK}",
        "expr": f"endpoint:headrace_saving_per_hour:mean{_WEEK} / (endpoint:headrace_cost_per_hour:max{_WEEK} > 0)",
    },
]
"""The saving is against as many pods all the time as there were at the peak of a week, or since the first of them."""
