"""The AutopilotPodAutoscaler object: round trip, rules, and a schema that says the same."""

import pytest

from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER, AutoscalerSpec
from headrace.contract.custom_object import CustomObject
from headrace.contract.errors import InputError
from headrace.contract.model_endpoint import MODEL_ENDPOINT

FULL = AutoscalerSpec(
    target="v1",
    min_replicas=0,
    max_replicas=7,
    min_concurrency=2,
    max_concurrency=64,
    initial_concurrency=8,
    idle_seconds=0.0,
    cost_per_hour=12.5,
    pod_cost_per_hour=2.5,
    cold_start_seconds=0.0,
    predecessor="v0",
)


@pytest.mark.parametrize("spec", [FULL, AutoscalerSpec(target="v1")])
def test_a_spec_survives_json(spec: AutoscalerSpec) -> None:
    assert AutoscalerSpec.from_json(spec.to_json()) == spec


def test_all_faults_are_named_at_once_with_value_and_remedy() -> None:
    spec = AutoscalerSpec(
        target="", min_replicas=5, max_replicas=2, min_concurrency=9, max_concurrency=3, cost_per_hour=1.0
    )

    with pytest.raises(InputError) as caught:
        spec.checked("AutopilotPodAutoscaler fraud/v1")

    assert len(caught.value.faults) == 4
    assert "minReplicas = 5, must be at most maxReplicas (2): lower it or raise maxReplicas" in caught.value.faults


@pytest.mark.parametrize("known", [AUTOPILOT_POD_AUTOSCALER, MODEL_ENDPOINT], ids=lambda known: known.kind)
def test_old_pulumi_providers_can_update_the_object(known: CustomObject) -> None:
    """They use a patch that custom objects refuse where the OpenAPI v2 document tells fields: docs/decisions/0601."""
    (version,) = known.crd()["spec"]["versions"]

    assert version["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] is True


def test_kubectl_shows_what_an_operator_wants() -> None:
    columns = [
        column["name"] for column in AUTOPILOT_POD_AUTOSCALER.crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    ]

    assert {"Target", "Min", "Max", "Ready", "Desired", "Concurrency", "Demand", "Why"} <= set(columns)
