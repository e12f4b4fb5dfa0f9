"""The AutopilotPodAutoscaler object: round trip, rules, and a schema that says the same."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

import pytest

from headrace.contract.apa import AutoscalerSpec, autopilot_pod_autoscaler_crd
from headrace.contract.errors import InputError
from headrace.contract.model_endpoint import model_endpoint_crd

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


def test_the_schema_knows_every_field_and_the_same_defaults() -> None:
    version = autopilot_pod_autoscaler_crd()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    defaults = {field.name: field.default for field in fields(AutoscalerSpec) if field.default is not MISSING}

    assert schema["minReplicas"]["default"] == defaults["min_replicas"]
    assert schema["maxReplicas"]["default"] == defaults["max_replicas"]
    assert schema["coldStartSeconds"]["default"] == defaults["cold_start_seconds"]
    assert schema["concurrency"]["properties"]["max"]["default"] == defaults["max_concurrency"]
    written = set(FULL.to_json())
    assert written == set(schema)


@pytest.mark.parametrize("crd", [autopilot_pod_autoscaler_crd, model_endpoint_crd])
def test_old_pulumi_providers_can_update_the_object(crd: Callable[[], dict[str, Any]]) -> None:
    """They use a patch that custom objects refuse where the OpenAPI v2 document tells fields: docs/decisions/0601."""
    (version,) = crd()["spec"]["versions"]

    assert version["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] is True


def test_kubectl_shows_what_an_operator_wants() -> None:
    columns = [
        column["name"] for column in autopilot_pod_autoscaler_crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    ]

    assert {"Target", "Min", "Max", "Ready", "Desired", "Concurrency", "Demand", "Why"} <= set(columns)
