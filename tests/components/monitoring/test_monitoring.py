"""Monitoring: who may scrape what, and that monitors find the ports of the platform's pods."""

from typing import Any

import pytest
from stand_ins import FOUND

from headrace.components import Monitoring, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


@pytest.fixture
def recording() -> Recording:
    def program() -> None:
        ServingPlatform("platform", {"host": "models.example"})
        Monitoring("monitoring", {"namespace": "observability", "selected_by": {"release": "main"}})

    return record(program, answers=FOUND)


def test_only_the_named_namespace_is_let_in_and_to_metrics_alone(recording: Recording) -> None:
    spec = recording.named("monitoring-policy").inputs["spec"]

    (rule,) = spec["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]
    assert {port["port"] for port in rule["ports"]} == {8081, 9902, 9090}
    assert spec["policyTypes"] == ["Ingress"]  # what a program may reach stays as it is


def test_each_monitor_finds_pods_with_the_port_that_it_scrapes(recording: Recording) -> None:
    templates = [made.inputs["spec"]["template"] for made in recording.of_kind("Deployment")]
    found: dict[str, set[str]] = {}
    for monitor in recording.of_kind("PodMonitor"):
        spec = monitor.inputs["spec"]
        (expression,), (scrape,) = spec["selector"]["matchExpressions"], spec["podMetricsEndpoints"]
        for template in templates:
            program = template["metadata"]["labels"].get(names.COMPONENT_LABEL)
            if program in expression["values"]:
                ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
                assert scrape["port"] in ports, program
                found.setdefault(monitor.name, set()).add(program)

    assert found == {
        "monitoring-programs": {"routing", "autoscaler", "management", "activator", "rollout"},
        "monitoring-proxies": {"pop-proxy", "load-balancer"},
        "monitoring-models": {"prometheus"},
    }


def test_the_users_prometheus_chooses_them_by_its_own_labels(recording: Recording) -> None:
    for kind in ("PodMonitor", "PrometheusRule"):
        for made in recording.of_kind(kind):
            assert made.inputs["metadata"]["labels"]["release"] == "main"


def test_a_cluster_without_the_operator_is_found_out_before_anything_is_made(recording: Recording) -> None:
    assert "v1.monitoring.coreos.com" in recording.read


def test_what_is_missing_or_unknown_is_told_at_once() -> None:
    bad: Any = {"release": "main"}

    def program() -> None:
        with pytest.raises(ArgsError, match=r"release.*namespace|namespace.*release"):
            Monitoring("bad", bad)

    record(program, answers=FOUND)
