"""docs/metrics.md names metrics that a real Envoy has."""

from typing import Any

from metrics_page import Metric, exposed, told
from patience import eventually


def test_the_balancer_has_each_metric_that_the_page_names(platform: Any, make_endpoint: Any) -> None:
    platform.publish(make_endpoint("fraud-2"), pods={("fraud-2", "v1"): (platform.server("fraud"),)})
    platform.request("/fraud-2/invocations")
    page = told("Proxies")
    ours = frozenset({"headrace_endpoint", "headrace_version"})

    def found() -> dict[str, Metric]:
        return exposed(platform.balancer.stats("/stats/prometheus")[1].decode(), everywhere=ours)

    eventually(lambda: set(page) <= set(found()), "Envoy has each metric of the page")
    assert {name: metric for name, metric in found().items() if name in page} == page
