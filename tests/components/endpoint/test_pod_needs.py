"""What the need to copy weights adds to an endpoint: variables of one container, and one way out."""

from typing import Any

import pulumi
import pytest
from stand_ins import REF_OF_A_PLATFORM, large_source

from headrace.components import ModelEndpoint
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")


def made(weights: dict[str, Any]) -> Recording:
    given: Any = {"platform": REF_OF_A_PLATFORM, "model_uri": "models:/fraud/7", "weights": weights}
    return record(
        lambda: ModelEndpoint("fraud", given, sources={"models:/fraud/7": large_source(server="http://10.1.2.3:5000")})
    )


def pod(recording: Recording) -> Any:
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]


def test_the_policy_opens_the_stores_address_and_the_collectors_pods_and_nothing_else() -> None:
    policy = made({}).named("fraud-policy").inputs["spec"]

    store, collector = policy["egress"]
    assert store == {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"protocol": "TCP", "port": 5000}]}
    assert [peer["podSelector"]["matchLabels"] for peer in collector["to"]] == [
        {"serving.headrace.dev/component": "collector"}
    ]


def test_who_asks_the_store_is_told_to_the_copying_container_alone() -> None:
    recording = made({"environment": {"MLFLOW_TRACKING_TOKEN": {"secret": "mlflow", "key": "token"}}})
    (first,), (model,) = pod(recording)["initContainers"], pod(recording)["containers"]

    asked = {"name": "MLFLOW_TRACKING_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "token"}}}
    assert asked in first["env"]
    assert "MLFLOW_TRACKING_TOKEN" not in {entry["name"] for entry in model["env"]}


def test_a_secret_of_the_deployers_gets_to_the_copying_container_through_a_secret_of_its_own() -> None:
    recording = record(
        lambda: ModelEndpoint(
            "fraud",
            {
                "platform": REF_OF_A_PLATFORM,
                "model_uri": "models:/fraud/7",
                "weights": {"environment": {"MLFLOW_TRACKING_TOKEN": pulumi.Output.secret("hush")}},
            },
            sources={"models:/fraud/7": large_source(server="http://10.1.2.3:5000")},
        )
    )

    assert recording.waits_for("fraud-v7-deployment", "fraud-weights-environment")
    (first,) = pod(recording)["initContainers"]
    assert "MLFLOW_TRACKING_TOKEN" in {entry["name"] for entry in first["env"]}
    assert "hush" not in str(pod(recording))
