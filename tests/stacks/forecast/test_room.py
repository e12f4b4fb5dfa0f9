"""How many more pods a cluster takes."""

from typing import Any

import pytest

from headrace.stacks.forecast.room import admits, requests, room


def node(name: str = "a", *, gpus: int = 0, taints: Any = (), labels: Any = None, **status: Any) -> dict[str, Any]:
    has = {"cpu": "4", "memory": "16Gi", "pods": "110", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)},
        "status": {"allocatable": has, **status},
    }


def pod(cpu: str, memory: str, *, on: str = "", phase: str = "Running", **spec: Any) -> dict[str, Any]:
    container = {"name": "model", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {"spec": {"containers": [container], "nodeName": on, **spec}, "status": {"phase": phase}}


def test_the_scarcest_resource_decides_and_what_others_asked_for_is_taken() -> None:
    nodes = [node("a"), node("b")]
    taken = [pod("3500m", "1Gi", on="a"), pod("1", "15Gi", on="b"), pod("4", "16Gi", on="a", phase="Succeeded")]

    assert room(pod("250m", "768Mi"), nodes, []) == 2 * 16
    assert room(pod("250m", "768Mi"), nodes, taken) == 2 + 1
    assert room(pod("5", "1Gi"), nodes, []) == 0


def test_pods_that_wait_for_a_node_and_the_nodes_own_number_of_pods_count() -> None:
    small = node()
    small["status"]["allocatable"]["pods"] = "3"

    assert room(pod("10m", "10Mi"), [small], [pod("10m", "10Mi", on="a")]) == 2
    assert room(pod("10m", "10Mi"), [small], [pod("10m", "10Mi")]) == 3


TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
ARM = {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}


@pytest.mark.parametrize(
    ("place", "spec", "may"),
    [
        (node(), {}, True),
        (node(taints=[TAINT]), {}, False),
        (node(taints=[{**TAINT, "effect": "PreferNoSchedule"}]), {}, True),
        (node(taints=[TAINT]), {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}, True),
        (node(taints=[TAINT]), {"tolerations": [{"key": "nvidia.com/gpu", "value": "false"}]}, False),
        (node(labels={"pool": "l4"}), {"nodeSelector": {"pool": "l4"}}, True),
        (node(), {"nodeSelector": {"pool": "l4"}}, False),
        (node(conditions=[{"type": "Ready", "status": "Unknown"}]), {}, False),
        (node(labels={"kubernetes.io/arch": "amd64"}), {"affinity": ARM}, False),
        (node(labels={"kubernetes.io/arch": "arm64"}), {"affinity": ARM}, True),
    ],
)
def test_a_pod_goes_where_the_scheduler_would_let_it(place: Any, spec: dict[str, Any], may: bool) -> None:
    if "affinity" in spec:
        terms = {"nodeSelectorTerms": [{"matchExpressions": [spec["affinity"]]}]}
        spec = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}
    assert admits(place, spec) is may


def test_eight_gpus_fit_only_where_eight_are_free() -> None:
    limits = {"name": "model", "resources": {"limits": {"nvidia.com/gpu": "8"}}}
    large = {"spec": {"containers": [limits]}}

    assert room(large, [node("a", gpus=4), node("b", gpus=4)], []) == 0
    assert room(large, [node("a", gpus=8)], []) == 1
    assert room(large, [node("a", gpus=8)], [{"spec": {**large["spec"], "nodeName": "a"}}]) == 0


def test_a_sidecar_counts_beside_the_model_and_a_first_step_only_where_it_is_larger() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "containers": [container("500m")],
        "initContainers": [container("100m", restartPolicy="Always"), container("550m")],
    }

    assert requests(spec)["cpu"] * 1000 == 600
    assert requests({**spec, "initContainers": [container("2")]})["cpu"] == 2
