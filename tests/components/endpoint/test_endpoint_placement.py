"""Which nodes a model's pods go to, and before whom."""

from typing import Any

import pytest
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_placement import (
    affinity_to_architectures,
    node_faults,
    wanted_architectures,
)
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}


def pod(**given: Any) -> Any:
    inputs: Any = {"platform": REF, "model_uri": "models:/fraud/7", **given}
    recording = record(lambda: ModelEndpoint("fraud", inputs))
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]


def test_pods_go_where_they_are_sent() -> None:
    spec = pod(
        node_selector={"topology.kubernetes.io/zone": "eu-1a"},
        tolerations=[{"key": "dedicated", "value": "models", "effect": "NoSchedule"}, {"key": "spot"}],
        priority_class="business.critical",
    )

    assert spec["nodeSelector"] == {"topology.kubernetes.io/zone": "eu-1a"}
    assert spec["tolerations"] == [
        {"key": "dedicated", "operator": "Equal", "value": "models", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
    assert spec["priorityClassName"] == "business.critical"


def test_nothing_is_said_of_nodes_where_nothing_is_asked() -> None:
    assert not {"nodeSelector", "tolerations", "priorityClassName"} & pod().keys()


def allowed(spec: dict[str, Any]) -> list[str]:
    """Architectures of the nodes that the pods may go to."""
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (rule,) = term["matchExpressions"]
    assert (rule["key"], rule["operator"]) == ("kubernetes.io/arch", "In")
    found: list[str] = rule["values"]
    return found


def test_pods_go_to_nodes_that_their_image_is_for() -> None:
    assert allowed(pod()) == ["amd64"]
    assert allowed(pod(architectures=["amd64", "arm64"])) == ["amd64", "arm64"]
    assert affinity_to_architectures(None) == affinity_to_architectures(["amd64"]), "of a state that does not say"


def test_a_node_selector_that_names_an_architecture_is_built_for() -> None:
    assert allowed(pod(node_selector={"kubernetes.io/arch": "arm64"})) == ["arm64"]
    assert wanted_architectures([], {"kubernetes.io/arch": "s390x"}) == ()
    assert wanted_architectures(["amd64"], {"kubernetes.io/arch": "arm64"}) == ("amd64",), "what is said counts"


def test_an_architecture_that_images_are_not_made_for_is_told() -> None:
    with pytest.raises(ArgsError, match=r"architectures\[1\] = 's390x', must be one of amd64, arm64"):
        pod(architectures=["amd64", "s390x"])


def test_pods_with_gpus_tolerate_both_taints() -> None:
    spec = pod(runtime={"gpus": 1}, tolerations=[{"key": "spot"}])

    assert [toleration["key"] for toleration in spec["tolerations"]] == ["nvidia.com/gpu", "spot"]


def test_a_label_or_a_taint_that_no_node_can_have_is_told() -> None:
    faults = list(node_faults({"node_selector": {"a b": "c", "d": True}, "tolerations": [{"key": "a b"}]}))

    assert "node_selector has the key 'a b', must be a Kubernetes label name" in faults[0]
    assert "node_selector['d'] = True, must be" in faults[1]
    assert "tolerations[0].key = 'a b', must be a taint's key" in faults[2]


@pytest.mark.parametrize("toleration", [{}, {"key": ""}, {"operator": "Exists"}])
def test_a_toleration_of_every_taint_is_refused(toleration: Any) -> None:
    with pytest.raises(ArgsError, match=r"tolerations\[0\]\.key is (missing|empty)"):
        pod(tolerations=[toleration])
