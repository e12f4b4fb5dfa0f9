"""Endpoint configurations of SageMaker as endpoints."""

import copy
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from headrace.stacks.conversion import Outcome
from headrace.stacks.conversion.instance_types import cores, gpus
from tests.stacks.conversion.converted_program import convert, inputs, run, told
from tests.stacks.conversion.samples import SAGEMAKER

pytestmark = pytest.mark.usefixtures("stand_in_images")
MODELS = {"AllTraffic": "models:/churn/7", "serverless": "models:/churn/8", "next": "models:/churn/9"}


def test_variants_become_versions_and_a_shadow_one(tmp_path: Path) -> None:
    found = convert(SAGEMAKER, model_uris=MODELS)

    assert inputs(run(found, tmp_path), "churn") == {
        "versions": [
            {
                "model_uri": "models:/churn/7",
                "name": "alltraffic",
                "weight": 67,
                "scale": {"min_replicas": 2},
                "cpu": 4,
            },
            {
                "model_uri": "models:/churn/8",
                "name": "serverless",
                "weight": 33,
                "memory_mib": 2048,
                "scale": {"max_replicas": 20, "min_replicas": 0},
            },
            {
                "model_uri": "models:/churn/9",
                "name": "next",
                "shadow": 20,
                "scale": {"max_replicas": 3, "min_replicas": 1},
                "runtime": {"gpus": 4, "gpu_memory_gib": 24, "gpu_has_fp8": False},
            },
        ],
        "inference_table": {"uri": "s3://lake/capture/churn", "sampling_fraction": 0.5},
        "service_account": {
            "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/churn"},
        },
    }
    assert set(told(found, Outcome.NOT_MAPPED)) == {"DataCaptureConfig.KmsKeyId"}


def test_a_model_that_is_not_given_is_a_setting_to_be_made(tmp_path: Path) -> None:
    one = {**SAGEMAKER, "ProductionVariants": SAGEMAKER["ProductionVariants"][:1], "ShadowProductionVariants": []}
    found = convert(one)

    with pytest.raises(Exception, match="churn_model_uri"):
        run(found, tmp_path)
    made = inputs(run(found, tmp_path, churn_model_uri="models:/churn/7"), "churn")
    assert (made["model_uri"], made["cpu"], made["scale"]) == ("models:/churn/7", 4, {"min_replicas": 2})
    assert "ProductionVariants[0].ModelName" in told(found, Outcome.NOT_MAPPED)


@pytest.mark.parametrize(
    ("change", "place", "outcome", "reason"),
    [
        ({"EnableNetworkIsolation": False}, "EnableNetworkIsolation", Outcome.NOT_MAPPED, "egress"),
        ({"DataCaptureConfig": {"EnableCapture": False}}, "DataCaptureConfig", Outcome.IGNORED, "off"),
        ({"ExecutionRoleArn": "nobody"}, "ExecutionRoleArn", Outcome.NOT_MAPPED, "the ARN of a role"),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "AsyncInferenceConfig", Outcome.NOT_MAPPED, "at once"),
    ],
)
def test_each_value_has_a_reason(change: dict[str, Any], place: str, outcome: Outcome, reason: str) -> None:
    assert reason in told(convert({**SAGEMAKER, **change}), outcome)[place]


@pytest.mark.parametrize(
    ("instance_type", "number", "accelerators"),
    [
        ("ml.m5.large", 2, None),
        ("ml.c6g.4xlarge", 16, None),
        ("ml.t2.medium", 2, None),
        ("ml.g4dn.12xlarge", None, {"gpus": 4, "gpu_memory_gib": 16.0, "gpu_has_fp8": False}),
        ("ml.p5.48xlarge", None, {"gpus": 8, "gpu_memory_gib": 80.0, "gpu_has_fp8": True}),
        ("ml.inf2.xlarge", None, None),
        ("ml.g5.7xlarge", None, None),
    ],
)
def test_an_instance_types_name_says_its_cores_and_gpus(instance_type: str, number: int, accelerators: Any) -> None:
    assert (cores(instance_type), gpus(instance_type)) == (number, accelerators)


def _full(shape: Any) -> Any:
    """A value of botocore's shape with every member of it."""
    if shape.type_name == "structure":
        return {name: _full(member) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [_full(shape.member)]
    if getattr(shape, "enum", None):
        return shape.enum[0]
    return {"string": "text", "integer": 4, "float": 1.0, "boolean": True, "timestamp": "2026-05-01"}[shape.type_name]


def test_every_member_of_amazons_own_model_has_an_outcome_of_its_own() -> None:
    """A member that is new in botocore fails here until somebody says what becomes of it."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    described = _full(model.operation_model("DescribeEndpointConfig").output_shape)
    created = _full(model.operation_model("CreateEndpointConfig").input_shape)

    for document in (described, created):
        shadow = copy.deepcopy(document)
        shadow["ShadowProductionVariants"] = []
        for each in (document, shadow):
            lost = told(convert(each), Outcome.NOT_MAPPED)
            assert [place for place, reason in lost.items() if "no input for it" in reason] == []
