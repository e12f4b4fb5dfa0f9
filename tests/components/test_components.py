"""What holds for every component, whatever it does."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pulumi
import pulumi_kubernetes
import pytest
import yaml
from stand_ins import DELIVERY, FOUND, IMAGE

from headrace.components.cluster.eks.eks_cluster import EksCluster
from headrace.components.cluster.eks.entrance import EksEntrance
from headrace.components.cluster.eks.network import EksNetwork
from headrace.components.cluster.gpu_node_pool import GpuNodePool
from headrace.components.cluster.serving_cluster import ServingCluster
from headrace.components.endpoint.model_endpoint import ModelEndpoint
from headrace.components.monitoring.monitoring import Monitoring
from headrace.components.platform.activator import Activator
from headrace.components.platform.autoscaler import Autoscaler
from headrace.components.platform.control_plane import ControlPlane
from headrace.components.platform.load_balancer import LoadBalancer
from headrace.components.platform.observability import Observability
from headrace.components.platform.pop_proxy import PopProxy
from headrace.components.platform.serving_platform import ServingPlatform
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
    "autoscaler": True,
}
LABELS = {"team": "fraud"}
NAME = "subject"

EKS = {
    "name": "shop",
    "node_role": "shop-node",
    "node_security_group": "sg-1",
    "vpc": "vpc-1",
    "public_subnets": ["subnet-1", "subnet-2"],
    "node_group": "nodes",
}

MAKERS: dict[type[pulumi.ComponentResource], dict[str, Any]] = {
    Autoscaler: {"image": IMAGE, "prometheus_url": "http://prometheus.monitoring:9090", "labels": LABELS},
    EksCluster: {"tags": LABELS},
    EksEntrance: {"cluster": EKS, "host": "models.example", "zone_id": "Z1"},
    EksNetwork: {"tags": LABELS},
    GpuNodePool: {"cluster": EKS, "gpu": "l4", "max_nodes": 2, "labels": LABELS},
    Activator: {"image": IMAGE, "labels": LABELS},
    ControlPlane: {"image": IMAGE, "labels": LABELS},
    LoadBalancer: {"image": IMAGE, "labels": LABELS},
    Monitoring: {"namespace": "observability", "labels": LABELS},
    Observability: {"image": IMAGE, "labels": LABELS},
    PopProxy: {"image": IMAGE, "host": "models.example", "labels": LABELS},
    ServingPlatform: {
        "image_delivery": DELIVERY,
        "host": "models.example",
        "labels": LABELS,
    },
    ModelEndpoint: {
        "platform": REF,
        "model_uri": "models:/fraud/7",
        "scale": {"max_replicas": 4},
        "quota": {"cpu": 8.0, "memory_mib": 4096, "pods": 4},
        "environment": {"API_KEY": {"store": "vault", "path": "apps/subject"}},
        "egress": [{"host": "api.openai.com", "ports": [443]}],
        "labels": LABELS,
    },
}
"""Arguments that make each component create everything it can."""


@cache
def make(component: Callable[..., Any]) -> Recording:
    return record(lambda: component(NAME, MAKERS[component]), answers=FOUND)  # type: ignore[index]


@pytest.fixture(params=MAKERS, ids=lambda component: component.__name__)
def made(request: pytest.FixtureRequest) -> Recording:
    """One recording for each component."""
    return make(request.param)


def test_everything_a_component_creates_descends_from_it(made: Recording) -> None:
    (root,) = [resource for resource in made.resources.values() if resource.name == NAME]

    strangers = [r.name for r in made.resources.values() if r is not root and root not in list(made.ancestors(r))]

    assert strangers == []


def test_names_of_children_start_with_the_name_of_their_parent(made: Recording) -> None:
    misnamed = [
        resource.name
        for resource in made.resources.values()
        if (parent := made.resources.get(resource.parent)) and not resource.name.startswith(f"{parent.name}-")
    ]

    assert misnamed == []


def test_what_is_annotated_as_output_is_registered_and_nothing_else() -> None:
    for component in MAKERS:
        recording = make(component)
        registered = set(recording.outputs[recording.named(NAME).urn])

        assert registered == {field for field in component.__annotations__ if not field.startswith("_")}


def test_every_kubernetes_object_carries_the_users_labels(made: Recording) -> None:
    unlabelled = [
        resource.name
        for resource in made.resources.values()
        if resource.type.startswith("kubernetes:")
        and not resource.inputs["metadata"].get("labels", {}).items() >= LABELS.items()
    ]

    assert unlabelled == []


def test_pods_carry_the_users_labels_and_selectors_do_not(made: Recording) -> None:
    """A selector cannot change: a relabelled team would have to delete its Deployment."""
    for deployment in made.of_kind("Deployment"):
        spec = deployment.inputs["spec"]

        assert spec["template"]["metadata"]["labels"].items() >= LABELS.items()
        assert not LABELS.keys() & spec["selector"]["matchLabels"].keys()
        assert spec["template"]["metadata"]["labels"].items() >= spec["selector"]["matchLabels"].items()


def test_no_component_makes_a_provider(made: Recording) -> None:
    assert [resource.name for resource in made.resources.values() if resource.type.startswith("pulumi:providers")] == []


def test_the_programs_provider_reaches_every_object() -> None:
    def program() -> None:
        provider = pulumi_kubernetes.Provider("chosen", kubeconfig="{}")
        ServingPlatform(NAME, MAKERS[ServingPlatform], pulumi.ResourceOptions(provider=provider))  # type: ignore[arg-type]

    recording = record(program, answers=FOUND)
    objects = [resource for resource in recording.resources.values() if resource.type.startswith("kubernetes:")]

    assert objects
    assert all("::chosen::" in resource.provider for resource in objects)


def test_a_cluster_creates_nothing_and_keeps_its_kubeconfig_secret(tmp_path: Any) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(KUBECONFIG))

    recording = record(lambda: ServingCluster(NAME, {"kubeconfig": str(path)}))

    assert [resource.name for resource in recording.resources.values()] == [NAME]
    assert set(recording.outputs[recording.named(NAME).urn]) == set(ServingCluster.__annotations__)


KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
}


def test_the_provider_waits_for_deployments_and_addresses_and_for_nothing_that_never_comes(made: Recording) -> None:
    """Old providers wait for a ServiceAccount's Secret, all for a Service's pods: ten minutes when there are none."""
    waited = {
        resource.type.rsplit(":", 1)[-1]
        for resource in made.resources.values()
        if resource.type.startswith("kubernetes:")
        and "pulumi.com/skipAwait" not in resource.inputs["metadata"].get("annotations", {})
    }

    assert "ServiceAccount" not in waited
    services = [r.inputs for r in made.of_kind("Service")]
    assert all(
        (service["spec"]["type"] == "LoadBalancer") != ("annotations" in service["metadata"]) for service in services
    )
