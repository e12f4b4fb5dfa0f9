"""The AutopilotPodAutoscaler object: round trip, rules, and a schema that says the same."""

from dataclasses import MISSING, fields

import pytest

from headrace.contract.apa import AutoscalerSpec, autopilot_pod_autoscaler_crd
from headrace.contract.errors import InputError

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


def test_kubectl_shows_what_an_operator_wants() -> None:
    columns = [
        column["name"] for column in autopilot_pod_autoscaler_crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    ]

    assert {"Target", "Min", "Max", "Ready", "Desired", "Concurrency", "Demand", "Why"} <= set(columns)
