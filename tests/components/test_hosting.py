"""Components as programs in other languages construct them: camel case, floats for integers, references as outputs."""

from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.component import ComponentProvider
from stand_ins import FOUND

from headrace import components
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": {"kind": "registry", "repository": "registry.example/models", "plain_http": True},
    "image_base": {},
}
"""Spelled alike in every language, see PlatformRef."""


def constructed(kind: str, name: str, inputs: dict[str, Any]) -> tuple[Recording, dict[str, Any]]:
    """What constructing registered, and the state that goes back to the other language, resolved."""
    hosted = [getattr(components, exported) for exported in components.COMPONENTS]
    host = ComponentProvider(hosted, "headrace")
    state: dict[str, Any] = {}

    def program() -> Any:
        result = host.construct(name, f"headrace:index:{kind}", inputs, pulumi.ResourceOptions())
        return pulumi.Output.all(**result.state).apply(state.update)

    return record(program, answers=FOUND), state


@pytest.mark.parametrize("is_output", [False, True], ids=["plain", "output"])
def test_an_endpoint_takes_a_platforms_ref_from_any_language(is_output: bool) -> None:
    ref = pulumi.Output.from_input(REF) if is_output else REF
    inputs = {"platform": ref, "modelUri": "models:/fraud/7", "memoryMib": 1024.0, "startSeconds": 60.0}

    recording, state = constructed("ModelEndpoint", "fraud", inputs)

    assert state["url"] == "https://models.example/serving-endpoints/fraud"
    (container,) = recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1024Mi"
    assert container["startupProbe"]["failureThreshold"] == 60 / 5 + 3


def test_an_endpoint_takes_what_its_model_needs_from_any_language() -> None:
    inputs = {
        "platform": REF,
        "modelUri": "models:/fraud/7",
        "environment": {"REGION": "eu", "API_KEY": pulumi.Output.secret("hush"), "DB": {"secret": "db", "key": "k"}},
        "egress": [{"namespace": "feast", "podLabels": {"app": "redis"}, "ports": [6379.0]}],
        "volumes": {"features": {"mountPath": "/mnt/features", "claim": "features"}},
        "serviceAccount": {"annotations": {"example.com/role": pulumi.Output.from_input("fraud")}},
        "tolerations": [{"key": "spot"}],
        "nodeSelector": {"disk": "fast"},
        "priorityClass": "serving",
    }

    recording, state = constructed("ModelEndpoint", "fraud", inputs)

    spec = recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]
    assert {entry["name"] for entry in spec["containers"][0]["env"]} >= {"REGION", "API_KEY", "DB"}
    assert {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]} == {"/tmp", "/mnt/features"}
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"disk": "fast"}, "serving")
    rule = recording.named("fraud-policy").inputs["spec"]["egress"][0]
    assert rule["ports"] == [{"protocol": "TCP", "port": 6379}]
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"app": "redis"}}
    assert recording.named("fraud-account").inputs["metadata"]["annotations"]["example.com/role"] == "fraud"
    assert recording.named("fraud-environment").secrets == {"data.API_KEY"}
    assert state["namespace"] == "endpoint-fraud"


def test_a_platform_takes_the_other_languages_spelling_and_gives_a_ref_that_has_none() -> None:
    inputs = {
        "imageDelivery": {"kind": "registry", "repository": "registry.example/models"},
        "exposure": "node_port",
        "host": "10.0.0.7",
        "nodePort": 31000.0,
        "replicas": 1.0,
    }

    recording, state = constructed("ServingPlatform", "platform", inputs)

    assert state["url"] == "https://10.0.0.7:31000"
    assert state["ref"]["image_delivery"]["repository"] == "registry.example/models"
    (port,) = recording.named("platform-pop-proxy-service").inputs["spec"]["ports"]
    assert port["nodePort"] == 31000
