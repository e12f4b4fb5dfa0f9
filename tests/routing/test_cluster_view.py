"""ClusterView: what the activator reads of the cluster's objects."""

from typing import Any

from headrace.routing.activator.cluster_view import UNKNOWN, read_scaler, read_slice, view_of
from headrace.routing.snapshot import PodAddress, ready_pods


def scaler(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "endpoint-fraud", "name": "v1"}, "spec": spec, "status": status}


def test_a_version_that_has_not_started_yet_is_expected_to_take_what_its_object_says() -> None:
    assert read_scaler(scaler({})) == UNKNOWN
    assert read_scaler(scaler({}, coldStartSeconds=40)).start_seconds == 40


def test_what_was_measured_is_believed() -> None:
    found = read_scaler(scaler({"concurrency": 8, "coldStart": {"seconds": 3.2}}, coldStartSeconds=40))
    assert (found.concurrency, found.start_seconds, found.failure) == (8, 3.2, "")


def test_pods_that_cannot_start_are_told_of() -> None:
    told = {"type": "CapacityAvailable", "status": "False", "reason": "PodsFailing", "message": "1 pod fails"}
    found = read_scaler(scaler({"conditions": [{**told, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}))
    assert found.failure == "1 pod fails"
    seen = found.failing_since
    assert view_of("fraud/v1", found, seen + 29.0).failure == "", "it may be a moment's"
    assert view_of("fraud/v1", found, seen + 31.0).failure == "1 pod fails"
    waits = {"type": "CapacityAvailable", "status": "False", "reason": "CapacityShort", "message": "no room"}
    assert read_scaler(scaler({"conditions": [waits]})).failure == "", "a node may come"


def test_of_a_slice_enough_is_kept_to_know_its_ready_pods() -> None:
    item = {
        "metadata": {
            "name": "v1-abc",
            "namespace": "endpoint-fraud",
            "uid": "1",
            "labels": {
                "serving.headrace.dev/endpoint": "fraud",
                "serving.headrace.dev/version": "v1",
                "kubernetes.io/service-name": "v1",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "nodeName": "one"},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
        ],
    }
    assert ready_pods([read_slice(item)]) == {("fraud", "v1"): (PodAddress("10.0.0.1", 8080),)}


def test_a_version_without_an_autoscaler_is_new() -> None:
    assert view_of("fraud/v7", UNKNOWN, 0.0).is_new
    assert not view_of("fraud/v7", read_scaler(scaler({})), 0.0).is_new
