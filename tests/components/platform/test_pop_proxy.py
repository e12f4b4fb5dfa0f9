"""The proxy at the edge: how it is reached, under which certificate."""

from typing import Any

import pytest
from stand_ins import FOUND, IMAGE

from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.pop_proxy import PopProxy
from headrace.components.testing import Recording, record


def made(**args: Any) -> Recording:
    return record(lambda: PopProxy("edge", {"image": IMAGE, **args}), answers=FOUND)


def outputs(recording: Recording) -> dict[str, Any]:
    return recording.outputs[recording.named("edge").urn]


def test_on_a_node_port_the_url_is_the_given_host_and_port() -> None:
    recording = made(exposure="node_port", host="10.0.0.7", node_port=31000)

    assert outputs(recording)["url"] == "https://10.0.0.7:31000"
    assert outputs(recording)["address"] == "10.0.0.7"
    spec = recording.named("edge-service").inputs["spec"]
    assert spec["type"] == "NodePort"
    assert [(port["nodePort"], port["targetPort"]) for port in spec["ports"]] == [(31000, "proxy")]


def test_behind_a_load_balancer_the_url_is_the_users_name_for_it() -> None:
    recording = made(host="models.example")

    assert outputs(recording)["url"] == "https://models.example"
    assert outputs(recording)["address"] == "lb.example", "what the name must lead to"
    assert recording.named("edge-service").inputs["spec"]["type"] == "LoadBalancer"


def test_without_a_name_the_url_is_the_address_that_the_load_balancer_got() -> None:
    assert outputs(made())["url"] == "https://lb.example"


def test_the_certificate_covers_the_host_the_users_names_and_the_ways_from_inside() -> None:
    recording = made(host="models.example", server_names=["models.internal", "models.example"])

    assert recording.named("edge-certificate").inputs["server_names"] == [
        "models.example",
        "models.internal",
        "localhost",
        "127.0.0.1",
        "pop-proxy.headrace-system.svc",
    ]
    assert outputs(recording)["ca_certificate"] == "authority certificate"


def test_private_keys_are_secret_wherever_they_pass() -> None:
    recording = made(host="models.example")

    hidden = recording.named("edge-certificate").request.additionalSecretOutputs
    assert set(hidden) == {"private_key", "ca_private_key"}
    assert recording.named("edge-tls").inputs["stringData"]["tls.key"] == "server key"


def test_a_given_secret_is_mounted_and_no_certificate_is_made() -> None:
    recording = made(host="models.example", tls_secret="from-cert-manager")

    assert recording.of_kind("Secret") == []
    assert outputs(recording)["ca_certificate"] == ""
    volumes = recording.named("edge-deployment").inputs["spec"]["template"]["spec"]["volumes"]
    assert [volume["secret"]["secretName"] for volume in volumes if "secret" in volume] == [
        "pop-proxy-identity",
        "from-cert-manager",
    ]


def test_the_proxy_starts_only_after_its_policy_and_its_certificate() -> None:
    recording = made(host="models.example")

    for earlier in ("edge-policy", "edge-tls", "edge-config", "edge-account"):
        assert recording.waits_for("edge-deployment", earlier)


def test_all_faults_are_told_at_once_and_nothing_is_registered() -> None:
    def program() -> None:
        with pytest.raises(ArgsError) as caught:
            PopProxy("edge", {"image": IMAGE, "exposure": "node_port", "node_port": 80, "replicas": 0, "hots": "x"})  # type: ignore[typeddict-item, typeddict-unknown-key]
        assert len(caught.value.faults) == 4
        for word in ("hots", "host is missing", "node_port = 80", "replicas = 0"):
            assert word in str(caught.value)

    assert record(program).resources == {}
