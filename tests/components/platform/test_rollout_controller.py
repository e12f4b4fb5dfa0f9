"""The rollout controller's deployment: what it may do, and where."""

from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND, IMAGE

from headrace.components import RolloutController, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.controller import LEASE_RULES
from headrace.components.platform.rollout_controller import RULES
from headrace.components.testing import record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


def rights(rules: Any) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


def test_it_reads_two_kinds_and_writes_one_status_and_its_lease() -> None:
    """Golden: a right is added here on purpose or not at all."""
    reading = {(kind, verb) for kind in ("modelendpoints", "endpointslices") for verb in ("get", "list", "watch")}
    status = {("modelendpoints/status", "get"), ("modelendpoints/status", "patch")}
    assert rights(RULES) == reading | status
    assert rights(LEASE_RULES) == {("leases", "get"), ("leases", "create"), ("leases", "update")}


def test_a_platform_has_one_whose_lease_is_its_own_namespaces() -> None:
    given: Any = {"image_delivery": DELIVERY, "host": "models.example"}
    recording = record(lambda: ServingPlatform("platform", given), answers=FOUND)
    bound = {
        r.inputs["roleRef"]["name"]: r.inputs["metadata"].get("namespace")
        for kind in ("ClusterRoleBinding", "RoleBinding")
        for r in recording.of_kind(kind)
        if r.inputs["subjects"][0]["name"] == names.ROLLOUT
    }

    assert bound == {"headrace-rollout": None, "headrace-rollout-lease": names.SYSTEM_NAMESPACE}
    assert recording.waits_for("platform-rollout-deployment", "platform-rollout-binding")
    assert recording.waits_for("platform-rollout-deployment", "platform-rollout-lease-binding")


def test_it_stands_alone_and_says_what_is_wrong() -> None:
    def program() -> None:
        RolloutController("rollout", {"image": IMAGE, "replicas": 1})
        bad: Any = {"replicas": 0}
        with pytest.raises(ArgsError, match=r"image is missing.*replicas = 0"):
            RolloutController("bad", bad)

    recording = record(program, answers=FOUND)
    (deployment,) = recording.of_kind("Deployment")
    (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["-m", "headrace.routing.rollout"]
    assert recording.outputs[recording.named("rollout").urn]["address"] == "rollout.headrace-system.svc:8081"
