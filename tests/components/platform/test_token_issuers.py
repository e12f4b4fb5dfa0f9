"""Issuers beside the cluster: what the control plane is told of them, where it may ask, and what is refused before."""

import json
from typing import Any

import pytest
from stand_ins import DELIVERY, FOUND

from headrace.components import ControlPlane, ServingPlatform
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.contract.trusted_issuers import ENV_TOKEN_ISSUERS, issuers_of

pytestmark = pytest.mark.usefixtures("stand_in_images")
CORP: dict[str, Any] = {"issuer": "https://login.corp.test"}
PARTNER: dict[str, Any] = {
    "issuer": "https://partner.test:8443/realms/ops", "audiences": ["serving"], "prefix": "partner:",
    "groups_claim": "realm_access.roles",
}  # fmt: skip


def platform(**inputs: Any) -> Any:
    def program() -> None:
        ServingPlatform("platform", {"image_delivery": DELIVERY, "host": "models.example", **inputs})

    return record(program, answers=FOUND)


def told(recording: Any) -> str | None:
    [container] = recording.named("platform-routing-deployment").inputs["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") for each in container["env"]}.get(ENV_TOKEN_ISSUERS)


def open_ports(recording: Any) -> list[list[int]]:
    """To which the control plane may connect wherever they are."""
    egress = recording.named("platform-routing-policy").inputs["spec"]["egress"]
    return [[port["port"] for port in rule["ports"]] for rule in egress if "to" not in rule]


def test_the_control_plane_is_told_the_issuers_and_may_ask_them_at_their_ports_alone() -> None:
    recording = platform(token_issuers=[CORP, PARTNER])
    text = told(recording)

    assert text is not None
    issuers, broken = issuers_of(text)
    assert broken == []
    assert issuers == (
        TrustedIssuer(issuer=CORP["issuer"]),
        TrustedIssuer(
            issuer=PARTNER["issuer"], audiences=("serving",), prefix="partner:", groups_claim="realm_access.roles"
        ),
    )
    assert open_ports(recording) == [[443, 8443]]


@pytest.mark.parametrize("inputs", [{}, {"token_issuers": []}])
def test_without_issuers_nothing_is_told_and_no_way_is_open(inputs: Any) -> None:
    recording = platform(**inputs)

    assert told(recording) is None
    assert open_ports(recording) == []


def test_every_fault_of_the_list_and_of_other_inputs_is_told_before_anything_is_made() -> None:
    issuers = [
        CORP,
        {**CORP, "audiences": []},
        {"issuer": "http://a.test"},
        {"issuer": "https://b.test", "prefix": "s"},
    ]
    with pytest.raises(ArgsError) as caught:
        platform(token_issuers=issuers, replicas=0)

    faults = caught.value.faults
    assert len(faults) == 5, faults
    for words in (
        "token_issuers[1].audiences has 0 items",
        "token_issuers[1].issuer = 'https://login.corp.test' is that of token_issuers[0] too",
        "token_issuers[2].issuer = 'http://a.test', must be an https:// address",
        "token_issuers[3].prefix = 's', must not be taken for 'system:'",
        "replicas = 0",
    ):
        assert any(fault.startswith(words) for fault in faults), words


def test_a_control_plane_alone_checks_them_too() -> None:
    with pytest.raises(ArgsError, match=r"token_issuers\[0\]\.issuer is missing"):
        record(lambda: ControlPlane("routing", {"image": "i", "token_issuers": [json.loads("{}")]}))
