"""KServe's InferenceServices as endpoints."""

import copy
from pathlib import Path
from typing import Any

import pytest

from headrace.stacks.conversion import Outcome
from tests.stacks.conversion.converted_program import convert, inputs, run, told
from tests.stacks.conversion.samples import INFERENCE_SERVICE, OLD_INFERENCE_SERVICE, SERVICE_ACCOUNT

pytestmark = pytest.mark.usefixtures("stand_in_images")


def changed(**predictor: Any) -> dict[str, Any]:
    """The sample with other values in its predictor; None takes one away."""
    found = copy.deepcopy(INFERENCE_SERVICE)
    found["spec"]["predictor"].update(predictor)
    return found


def test_a_service_becomes_an_endpoint_with_its_bounds_needs_and_nodes(tmp_path: Path) -> None:
    found = convert(SERVICE_ACCOUNT, INFERENCE_SERVICE)

    assert inputs(run(found, tmp_path), "fraud") == {
        "model_uri": "s3://models/fraud/7/artifacts",
        "timeout_seconds": 60,
        "rollout": {"steps": [20]},
        "cpu": 2,
        "memory_mib": 2048,
        "runtime": {"gpus": 1},
        "scale": {"max_replicas": 5, "min_replicas": 0},
        "environment": {"REGION": "eu", "KEY": {"secret": "api", "key": "key"}},
        "service_account": {"annotations": SERVICE_ACCOUNT["metadata"]["annotations"]},
        "volumes": {"features": {"mount_path": "/mnt/features", "claim": "features"}},
        "node_selector": {"pool": "models"},
        "tolerations": [
            {"key": "dedicated", "value": "models", "effect": "NoSchedule"},
            {"key": "nvidia.com/gpu"},
        ],
        "labels": {"team": "payments"},
    }


def test_what_does_not_map_is_told_and_stands_in_the_program_where_it_would_be() -> None:
    found = convert(SERVICE_ACCOUNT, INFERENCE_SERVICE)

    lost = told(found, Outcome.NOT_MAPPED)
    assert set(lost) == {
        "metadata.annotations['sidecar.istio.io/inject']",
        "spec.predictor.tolerations[1].tolerationSeconds",
        "spec.predictor.model.env[2].name",
        "spec.predictor.model.env[2].value",
        "spec.transformer",
    }
    assert "a model pod's ports are fixed" in lost["spec.predictor.model.env[2].name"]
    before, _, after = found.program.partition('"environment": {')
    assert before.splitlines()[-5].strip().startswith("# Not mapped: spec.predictor.model.env[2].name,")
    assert "8080" not in before + after
    assert not found.is_whole


def test_a_format_other_than_mlflows_is_a_setting_to_be_made(tmp_path: Path) -> None:
    found = convert(OLD_INFERENCE_SERVICE)
    lost = told(found, Outcome.NOT_MAPPED)

    with pytest.raises(Exception, match="flowers_model_uri"):
        run(found, tmp_path)
    assert inputs(run(found, tmp_path, flowers_model_uri="models:/flowers/1"), "flowers") == {
        "model_uri": "models:/flowers/1",
        "cpu": 0.1,
    }
    assert "log the model with MLflow" in lost["spec.predictor.sklearn.storageUri"]
    assert "must be at least 256" in lost["spec.predictor.sklearn.resources.requests.memory"]
    assert ":predict" in lost["spec.predictor.sklearn.protocolVersion"]


def test_a_given_model_stands_in_the_place_of_the_services_own() -> None:
    found = convert(OLD_INFERENCE_SERVICE, INFERENCE_SERVICE, model_uris={"flowers": "models:/flowers/3"})

    assert [draft.inputs["model_uri"] for draft in found.endpoints] == [
        "models:/flowers/3",
        "s3://models/fraud/7/artifacts",
    ]


def test_the_objects_of_a_list_are_converted_and_the_others_named() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api"}, "data": {"key": "aHVzaA=="}}
    found = convert({"apiVersion": "v1", "kind": "List", "items": [secret, INFERENCE_SERVICE, SERVICE_ACCOUNT]})

    assert [draft.name for draft in found.endpoints] == ["fraud"]
    assert [(each["source"], each["outcome"]) for each in map(lambda f: f.document(), found.beside)] == [
        ("['Secret api']", "not mapped"),
        ("['ServiceAccount models']", "ignored"),
    ]


@pytest.mark.parametrize(
    ("predictor", "place", "outcome", "reason"),
    [
        ({"canaryTrafficPercent": 100}, "canaryTrafficPercent", Outcome.IGNORED, "all requests"),
        ({"canaryTrafficPercent": 0}, "canaryTrafficPercent", Outcome.NOT_MAPPED, "as versions"),
        ({"maxReplicas": 0}, "maxReplicas", Outcome.NOT_MAPPED, "100 unless it is set"),
        ({"minReplicas": 7}, "minReplicas", Outcome.NOT_MAPPED, "must be at most"),
        ({"containerConcurrency": 1}, "containerConcurrency", Outcome.NOT_MAPPED, "measured"),
        ({"serviceAccountName": "nobody"}, "serviceAccountName", Outcome.NOT_MAPPED, "service_account.annotations"),
        ({"tolerations": [{"operator": "Exists"}]}, "tolerations[0]", Outcome.NOT_MAPPED, "names one key"),
        ({"priorityClassName": "system-x"}, "priorityClassName", Outcome.NOT_MAPPED, "PriorityClass"),
        ({"batcher": {"maxBatchSize": 8}}, "batcher", Outcome.IGNORED, "measuring"),
        ({"frobnicate": {"a": [1]}}, "frobnicate", Outcome.NOT_MAPPED, "no input for it"),
    ],
)
def test_each_value_has_a_reason(predictor: dict[str, Any], place: str, outcome: Outcome, reason: str) -> None:
    found = told(convert(changed(**predictor)), outcome)

    assert reason in found[f"spec.predictor.{place}"]


def test_a_server_of_the_users_own_keeps_what_its_container_asks_for() -> None:
    found = convert(
        {
            **INFERENCE_SERVICE,
            "spec": {
                "predictor": {
                    "containers": [
                        {"name": "side", "image": "shop/side:1"},
                        {"name": "kserve-container", "image": "shop/model:1", "resources": {"limits": {"cpu": 3}}},
                    ]
                }
            },
        }
    )

    assert found.endpoints[0].inputs["cpu"] == 3
    lost = told(found, Outcome.NOT_MAPPED)
    assert "runtime.kind = 'custom'" in lost["spec.predictor.containers[1].image"]
    assert "one server" in lost["spec.predictor.containers[0]"]
