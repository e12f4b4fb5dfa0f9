"""The activator's deployment: what it may read, and that it writes nothing."""

from typing import Any

import pytest
from stand_ins import FOUND, IMAGE

from headrace.components import Activator
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.activator import READ_RULES
from headrace.components.testing import record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


def test_it_reads_pods_addresses_and_bounds_everywhere_and_nothing_else() -> None:
    """Golden: a right is added here on purpose or not at all."""
    rights = {(resource, verb) for rule in READ_RULES for resource in rule["resources"] for verb in rule["verbs"]}
    kinds = ("endpointslices", names.APA_PLURAL)
    assert rights == {(kind, verb) for kind in kinds for verb in ("get", "list", "watch")}


def test_it_stands_alone_and_says_what_is_wrong() -> None:
    def program() -> None:
        Activator("activator", {"image": IMAGE})
        bad: Any = {"replicas": 0}
        with pytest.raises(ArgsError, match=r"image is missing.*replicas = 0"):
            Activator("bad", bad)

    recording = record(program, answers=FOUND)
    (deployment,) = recording.of_kind("Deployment")
    (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["-m", "headrace.routing.activator"]
    assert deployment.inputs["spec"]["replicas"] == 2
    assert recording.of_kind("PodDisruptionBudget")
    assert recording.outputs[recording.named("activator").urn]["address"] == "activator.headrace-system.svc:8083"
