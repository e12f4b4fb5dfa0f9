"""What endpoints share."""

from functools import cache
from typing import Any

import pulumi
import pytest
from stand_ins import DELIVERY, FOUND

from headrace.components import ServingPlatform
from headrace.components.kubernetes import network_policies
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.control_plane import RULES
from headrace.components.testing import Recording, record
from headrace.contract import names

pytestmark = pytest.mark.usefixtures("stand_in_images")


@cache
def plain() -> Recording:
    given: Any = {"image_delivery": DELIVERY, "host": "models.example"}
    return record(lambda: ServingPlatform("platform", given), answers=FOUND)


def made(**args: Any) -> Recording:
    given: Any = {"image_delivery": DELIVERY, "host": "models.example", **args}
    return record(lambda: ServingPlatform("platform", given), answers=FOUND) if args else plain()


def test_the_namespace_holds_its_pods_to_the_restricted_standard() -> None:
    (space,) = made().of_kind("Namespace")

    labels = space.inputs["metadata"]["labels"]
    assert space.inputs["metadata"]["name"] == names.SYSTEM_NAMESPACE
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_pod_exists_before_the_policy_that_closes_the_namespace() -> None:
    recording = made()

    deployments = recording.of_kind("Deployment")
    assert {deployment.inputs["metadata"]["name"] for deployment in deployments} == {
        names.POP_PROXY,
        names.LOAD_BALANCER,
        names.ROUTING,
        names.MANAGEMENT,
        names.CONSOLE,
        names.AUTOSCALER,
        names.ACTIVATOR,
        names.ROLLOUT,
        network_policies.PROMETHEUS,
    }
    for deployment in deployments:
        assert recording.waits_for(deployment.name, "platform-deny-all")


def test_the_ref_is_plain_data_that_an_endpoint_can_be_given_anywhere() -> None:
    recording = made()

    assert recording.outputs[recording.named("platform").urn]["ref"] == {
        "namespace": names.SYSTEM_NAMESPACE,
        "url": "https://models.example",
        "image_delivery": DELIVERY,
        "image_base": {},
        "architectures": [],
        "autoscaler": True,
        "image_volumes": False,
        "prices": {},
    }


def test_the_repository_of_images_may_be_made_by_the_same_program() -> None:
    """A registry that Pulumi creates has no address yet when the platform's inputs are read."""
    recording = made(image_delivery={"kind": "registry", "repository": pulumi.Output.from_input("made.example/models")})

    ref = recording.outputs[recording.named("platform").urn]["ref"]
    assert ref["image_delivery"] == {"kind": "registry", "repository": "made.example/models"}


def test_no_argument_is_required() -> None:
    recording = record(lambda: ServingPlatform("platform"), answers=FOUND)

    assert recording.outputs[recording.named("platform").urn]["url"] == "https://lb.example"


def test_one_number_sets_the_copies_of_all_but_the_one_that_counts() -> None:
    for recording, copies in ((made(), 2), (made(replicas=3), 3)):
        found = {d.inputs["metadata"]["name"]: d.inputs["spec"]["replicas"] for d in recording.of_kind("Deployment")}
        assert found.pop(network_policies.PROMETHEUS) == 1
        assert set(found.values()) == {copies}


def test_the_control_plane_has_no_right_that_lets_it_read_secrets_or_grow() -> None:
    """Golden: a right is added here on purpose or not at all."""
    found = {
        (resource, verb)
        for rule in RULES
        for resource in rule.get("resources", rule.get("nonResourceURLs"))
        for verb in rule["verbs"]
    }

    assert found == {
        ("modelendpoints", "get"),
        ("modelendpoints", "list"),
        ("modelendpoints", "watch"),
        ("modelendpoints/status", "get"),
        ("modelendpoints/status", "patch"),
        ("modelendpoints/status", "update"),
        ("endpointslices", "get"),
        ("endpointslices", "list"),
        ("endpointslices", "watch"),
        ("pods", "list"),
        ("/openid/v1/jwks", "get"),
        ("/.well-known/openid-configuration", "get"),
    }


def test_all_faults_are_told_at_once_and_nothing_is_registered() -> None:
    def program() -> None:
        bad: Any = {
            "image_delivery": {"kind": "registry"},
            "image_base": {"python": "3"},
            "exposure": "node_port",
            "prometheus_url": "prometheus",
            "replicas": 0,
        }
        with pytest.raises(ArgsError) as caught:
            ServingPlatform("platform", bad)
        for word in (
            "repository is missing",
            "python = '3'",
            "host is missing",
            "prometheus_url = 'prometheus'",
            "replicas = 0",
        ):
            assert word in str(caught.value)

    assert record(program).resources == {}


@pytest.mark.parametrize("program", ["routing", "autoscaler"])
def test_a_controllers_way_out_leads_to_the_api_server_and_to_pods_by_name(program: str) -> None:
    recording = made()

    assert set(recording.read) == {"default/kubernetes"}
    assert ways_out(recording, program) == {"192.0.2.10/32": [16443], "10.96.0.1/32": [443]}


def test_a_managed_api_server_may_move_within_its_blocks() -> None:
    recording = made(api_server_addresses=["10.0.0.0/24", "2001:db8::/64"])

    ways = {"10.0.0.0/24": [16443], "2001:db8::/64": [16443], "10.96.0.1/32": [443]}
    assert ways_out(recording, "routing") == ways_out(recording, "autoscaler") == ways


def ways_out(recording: Recording, program: str) -> dict[str, list[int]]:
    """Ports by address, of a policy in which every rule names whom it is about."""
    egress = recording.named(f"platform-{program}-policy").inputs["spec"]["egress"]
    assert all(rule.get("to") for rule in egress)
    return {
        peer["ipBlock"]["cidr"]: [port["port"] for port in rule["ports"]]
        for rule in egress
        for peer in rule["to"]
        if "ipBlock" in peer
    }
