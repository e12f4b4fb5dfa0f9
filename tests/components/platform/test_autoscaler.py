"""The autoscaler's deployment: what it may do, where, and that endpoints get bounds only where they are read."""

from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND, IMAGE

from headrace.components import Autoscaler, ModelEndpoint, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.autoscaler import READ_RULES, SCALE_RULES
from headrace.components.platform.controller import LEASE_RULES
from headrace.components.testing import Recording, record
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec

pytestmark = pytest.mark.usefixtures("stand_in_images")


def rights(rules: Any) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


PRICE: Any = {
    "pod_cost_per_hour": 0.0126, "currency": "USD",
    "price_source": "6% of a node of 4 cores and 16 GiB; AWS on demand, us-east-1, 2026-05-18",
}  # fmt: skip
"""What a pod that asks for nothing costs."""


def platform_with_endpoint(scale: Any, *, autoscaler: bool = True) -> Recording:
    given: Any = {"image_delivery": DELIVERY, "host": "models.example", "autoscaler": autoscaler}

    def program() -> None:
        platform = ServingPlatform("platform", given)
        bounds: Any = {} if scale is None else {"scale": scale}
        ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": "models:/fraud/7", **bounds})

    return record(program, answers=FOUND)


def test_everywhere_it_only_reads() -> None:
    """Golden: a right is added here on purpose or not at all."""
    assert {verb for _, verb in rights(READ_RULES)} == {"get", "list", "watch"}
    assert {resource for resource, _ in rights(READ_RULES)} == {
        "autopilotpodautoscalers",
        "deployments",
        "pods",
        "horizontalpodautoscalers",
    }


def test_where_it_scales_it_writes_the_scale_its_own_objects_and_events() -> None:
    assert rights(SCALE_RULES) == {
        ("deployments/scale", "get"),
        ("deployments/scale", "patch"),
        ("autopilotpodautoscalers/status", "get"),
        ("autopilotpodautoscalers/status", "patch"),
        ("events", "create"),
    }
    assert rights(LEASE_RULES) == {("leases", "get"), ("leases", "create"), ("leases", "update")}


def test_writing_is_bound_namespace_by_namespace() -> None:
    recording = platform_with_endpoint({"max_replicas": 4})

    (everywhere,) = [
        r for r in recording.of_kind("ClusterRoleBinding") if r.inputs["subjects"][0]["name"] == names.AUTOSCALER
    ]
    assert everywhere.inputs["roleRef"]["name"] == "headrace-autoscaler"
    bound = {
        r.inputs["metadata"]["namespace"]: r.inputs["roleRef"]["name"]
        for r in recording.of_kind("RoleBinding")
        if r.inputs["subjects"][0]["name"] == names.AUTOSCALER
    }
    assert bound == {"endpoint-fraud": "headrace-autoscaler-scale", "headrace-system": "headrace-autoscaler-lease"}


def test_an_endpoints_bounds_name_the_versions_deployment() -> None:
    recording = platform_with_endpoint({"min_replicas": 0, "max_replicas": 4, "idle_seconds": 60.0})

    bounds = recording.named("fraud-v7-autoscaler")
    assert bounds.inputs["metadata"]["name"] == "v7"
    assert AutoscalerSpec.from_json(bounds.inputs["spec"]) == AutoscalerSpec(
        target="v7", min_replicas=0, max_replicas=4, idle_seconds=60.0, **PRICE
    )
    assert recording.waits_for("fraud-v7-autoscaler", "fraud-v7-deployment")


def test_bounds_wait_for_their_kind_and_not_for_the_controllers_pods() -> None:
    recording = platform_with_endpoint({"max_replicas": 4})

    assert recording.waits_for("fraud-namespace", "platform-pod-autoscalers")
    assert recording.waits_for("fraud-namespace", "platform-scale-role")
    assert not recording.waits_for("fraud-namespace", "platform-autoscaler-deployment")


@pytest.mark.parametrize("autoscaler", [True, False])
def test_an_endpoint_that_asks_for_nothing_is_scaled_from_one_pod_as_soon_as_somebody_scales(autoscaler: bool) -> None:
    bounds = platform_with_endpoint(None, autoscaler=autoscaler).named("fraud-v7-autoscaler")

    assert AutoscalerSpec.from_json(bounds.inputs["spec"]) == AutoscalerSpec(target="v7", **PRICE)


def test_bounds_that_nobody_would_read_stop_the_update() -> None:
    with pytest.raises(ArgsError, match="scale is given and the platform runs no autoscaler"):
        platform_with_endpoint({"max_replicas": 4}, autoscaler=False)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ({"max_replica": 4}, "scale: unknown input 'max_replica'"),
        ({"min_replicas": 5, "max_replicas": 4}, "scale.min_replicas = 5, must be at most max_replicas (4)"),
        ({"cost_per_hour": 3.0}, "scale.pod_cost_per_hour is missing, must be given with cost_per_hour"),
        ({"max_replicas": "many"}, "scale.max_replicas = 'many', must be a whole number"),
    ],
)
def test_bounds_that_cannot_hold_are_explained(scale: Any, words: str) -> None:
    ref: Any = {"namespace": "headrace-system"}

    def program() -> None:
        with pytest.raises(ArgsError) as caught:
            ModelEndpoint("fraud", {"platform": ref, "model_uri": "models:/fraud/7", "scale": scale})
        assert words in str(caught.value)

    assert record(program).resources == {}


def test_prometheus_is_given_to_the_controller_by_its_address() -> None:
    recording = record(
        lambda: Autoscaler("scaler", {"image": IMAGE, "prometheus_url": "https://prometheus.example"}), answers=FOUND
    )

    (container,) = recording.named("scaler-deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "HEADRACE_AUTOSCALER_PROMETHEUS_URL", "value": "https://prometheus.example"}]
    ports = [
        port["port"] for rule in recording.named("scaler-policy").inputs["spec"]["egress"] for port in rule["ports"]
    ]
    assert ports.count(443) == 2


def test_the_platforms_own_prometheus_is_reached_by_its_pods_and_no_port_is_open_to_all() -> None:
    recording = platform_with_endpoint(None)

    (container,) = recording.named("platform-autoscaler-deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["env"][0]["value"] == "http://prometheus.headrace-system.svc:9090"
    egress = recording.named("platform-autoscaler-policy").inputs["spec"]["egress"]
    assert all(rule.get("to") for rule in egress)
    assert recording.named("platform-observability-deployment").inputs["spec"]["replicas"] == 1


def test_a_platform_given_a_prometheus_makes_none() -> None:
    given: Any = {"image_delivery": DELIVERY, "host": "models.example", "prometheus_url": "http://prometheus.mon:9090"}

    recording = record(lambda: ServingPlatform("platform", given), answers=FOUND)

    assert "prometheus" not in {d.inputs["metadata"]["name"] for d in recording.of_kind("Deployment")}


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ArgsError, match="prometheus_url = 'prometheus:9090', must be an address such as"):
        Autoscaler("scaler", {"image": IMAGE, "prometheus_url": "prometheus:9090"})
