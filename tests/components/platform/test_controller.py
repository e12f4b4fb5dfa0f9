"""What all controllers have in common: inputs and their faults, rights before pods."""

from typing import Any

import pytest
from stand_ins import FOUND, IMAGE

from headrace.components import RolloutController
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.controller import require
from headrace.components.testing import record

pytestmark = pytest.mark.usefixtures("stand_in_images")


def test_all_faults_of_its_inputs_are_told_at_once() -> None:
    bad: dict[str, Any] = {"replicas": 0, "api_server_addresses": ["nowhere"], "labels": {"a b": "c"}, "copies": 2}

    with pytest.raises(ArgsError) as raised:
        require("Activator", "wrong", bad, ["more: its own fault"])

    told = str(raised.value)
    for part in ("Activator 'wrong'", "image", "replicas = 0", "nowhere", "a b", "copies", "more: its own fault"):
        assert part in told


def test_its_pods_wait_for_its_rights() -> None:
    def program() -> None:
        RolloutController("rollout", {"image": IMAGE})

    recording = record(program, answers=FOUND)

    bindings = {made.inputs["metadata"]["name"]: made for made in recording.of_kind("ClusterRoleBinding")}
    bindings |= {made.inputs["metadata"]["name"]: made for made in recording.of_kind("RoleBinding")}
    assert set(bindings) == {"headrace-rollout", "headrace-rollout-lease"}
    for binding in bindings.values():
        assert recording.waits_for("rollout-deployment", binding.name)
