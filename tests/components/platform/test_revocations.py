"""Revocations: what the control plane is told of them, and what is refused before anything is made."""

from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND

from headrace.components import ControlPlane, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record
from headrace.contract.revoked import ENV_REVOKED, Revoked, revoked_of

pytestmark = pytest.mark.usefixtures("stand_in_images")


def told(**inputs: Any) -> str | None:
    def program() -> None:
        ServingPlatform("platform", {"image_delivery": DELIVERY, "host": "models.example", **inputs})

    deployment = record(program, answers=FOUND).named("platform-routing-deployment")
    [container] = deployment.inputs["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}.get(ENV_REVOKED)


def test_the_control_plane_is_told_what_is_revoked() -> None:
    text = told(revoked={"tokens": ["6f1c"], "subjects": ["bob"]})

    assert text is not None
    assert revoked_of(text) == (Revoked(tokens=("6f1c",), subjects=("bob",)), [])


@pytest.mark.parametrize("inputs", [{}, {"revoked": {}}, {"revoked": {"tokens": []}}])
def test_where_nothing_is_revoked_nothing_is_told(inputs: Any) -> None:
    assert told(**inputs) is None


def test_every_fault_is_told_before_anything_is_made() -> None:
    with pytest.raises(ArgsError) as caught:
        told(revoked={"tokens": ["a b"]}, replicas=0)
    assert [fault.partition(",")[0] for fault in caught.value.faults] == ["revoked.tokens[0] = 'a b'", "replicas = 0"]

    given: Any = {"image": "i", "revoked": {"subjects": [""]}, "token_issuers": [{}]}
    with pytest.raises(ArgsError) as caught:
        record(lambda: ControlPlane("routing", given))
    assert [fault.partition(" ")[0] for fault in caught.value.faults] == [
        "token_issuers[0].issuer",
        "revoked.subjects[0]",
    ]
