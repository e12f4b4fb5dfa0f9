"""The management API's deployment: what it may read, and where."""

from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND, IMAGE

from headrace.components import Management, ModelEndpoint, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.management import PODS_RULES, READ_RULES
from headrace.components.testing import record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


def rights(rules: Any) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


def test_it_reads_endpoints_everywhere_and_nothing_else() -> None:
    """Golden: a right is added here on purpose or not at all."""
    assert rights(READ_RULES) == {("modelendpoints", "get"), ("modelendpoints", "list"), ("modelendpoints", "watch")}
    assert rights(PODS_RULES) == {("pods", "list"), ("pods/log", "get")}


def test_pods_and_logs_are_read_where_an_endpoint_lets_it() -> None:
    def program() -> None:
        given: Any = {"image_delivery": DELIVERY, "host": "models.example"}
        platform = ServingPlatform("platform", given)
        ModelEndpoint("fraud", {"platform": platform.ref, "model_uri": "models:/fraud/7"})

    recording = record(program, answers=FOUND)
    bound = {
        r.inputs["metadata"].get("namespace"): r.inputs["roleRef"]["name"]
        for kind in ("ClusterRoleBinding", "RoleBinding")
        for r in recording.of_kind(kind)
        if r.inputs["subjects"][0]["name"] == names.MANAGEMENT
    }

    assert bound == {None: "headrace-management", "endpoint-fraud": "headrace-management-pods"}
    assert recording.waits_for("fraud-pods-binding", "platform-pods-role")
    assert recording.waits_for("platform-management-deployment", "platform-management-binding")


def test_it_stands_alone_and_says_what_is_wrong() -> None:
    def program() -> None:
        Management("management", {"image": IMAGE, "replicas": 1})
        bad: Any = {"replicas": 0}
        with pytest.raises(ArgsError, match=r"image is missing.*replicas = 0"):
            Management("bad", bad)

    recording = record(program, answers=FOUND)
    (deployment,) = recording.of_kind("Deployment")
    (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["-m", "headrace.routing.management"]
    assert recording.outputs[recording.named("management").urn]["address"] == "management.headrace-system.svc:8082"
