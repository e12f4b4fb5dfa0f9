"""Prometheus' pod is made anew with its configuration."""

import json
from typing import Any

from stand_ins import IMAGE

from headrace.components.kubernetes import network_policies
from headrace.components.platform.observability import configuration
from headrace.components.platform.prometheus_pod import prometheus_data, prometheus_pod


def test_another_configuration_rolls_the_pod() -> None:
    def digest(config: dict[str, Any]) -> Any:
        pod = prometheus_pod(network_policies.PROMETHEUS, image=IMAGE, labels={}, config=config, memory_mib=512)
        return pod["metadata"]["annotations"]

    assert digest({"a": 1}) == digest({"a": 1}) != digest({"a": 2})
    assert json.loads(next(iter(prometheus_data(configuration()).values()))) == configuration()
