"""What people are told of an endpoint."""

import pytest
from cluster_view import autoscaler, condition, endpoint

from headrace.contract.endpoint_state import EndpointState

AT = "2026-11-30T10:00:00Z"
READY = condition("Ready", "True", "VersionsReady", at=AT)
NOT_READY = condition("Ready", "False", "NoReadyPod", at=AT)
HELD_UP = condition("RolledOut", "False", "ModelLoadFailed", at=AT)


@pytest.mark.parametrize(
    ("conditions", "word", "ready", "well"),
    [
        ([], "NotSeen", False, False),
        ([READY], "Ready", True, True),
        ([NOT_READY], "NoReadyPod", False, False),
        ([READY, HELD_UP], "ModelLoadFailed", True, False),
        ([NOT_READY, HELD_UP], "NoReadyPod", False, False),
    ],
)
def test_the_state_in_a_word(conditions: list[dict[str, str]], word: str, ready: bool, well: bool) -> None:
    state = EndpointState.of(endpoint(*conditions), [])
    assert (state.word, state.ready, state.well) == (word, ready, well)


def test_a_version_has_the_numbers_of_the_autoscaler_of_its_name_and_namespace() -> None:
    ours = autoscaler("v7", readyReplicas=2, desiredReplicas=3, concurrency=8, demand="5.1", reason="ScaleUp")
    anothers = {"metadata": {"name": "v8", "namespace": "endpoint-other"}, "status": {"desiredReplicas": 9}}
    seven, eight = EndpointState.of(endpoint(READY), [ours, anothers]).versions
    assert (seven.ready_pods, seven.wanted_pods, seven.concurrency) == (2, 3, 8)
    assert (seven.demand, seven.why) == ("5.1", "ScaleUp")
    assert (eight.wanted_pods, eight.weight, eight.shadow) == (None, 10, 5)


def test_the_document_has_all_of_it() -> None:
    document = EndpointState.of(endpoint(READY), []).document()
    assert document["state"] == "Ready"
    assert document["well"] is True
    assert document["path"] == "/serving-endpoints/fraud/invocations"
    assert [version["model_uri"] for version in document["versions"]] == ["models:/fraud/7", "models:/fraud/8"]
    assert document["conditions"][0]["since"] == AT
