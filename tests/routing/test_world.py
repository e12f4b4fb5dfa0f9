"""Objects of the cluster → endpoints, and keys of the token issuer."""

from typing import Any

import pytest

from headrace.contract import names
from headrace.routing.snapshot import Keys, accepted_endpoints


def model_endpoint(name: str = "fraud", namespace: str | None = None, **spec: Any) -> dict[str, Any]:
    versions = spec.pop("versions", [{"name": "v1", "modelUri": "m", "image": "i"}])
    space = names.endpoint_namespace(name) if namespace is None else namespace
    return {"metadata": {"name": name, "namespace": space}, "spec": {"versions": versions, **spec}}


def test_objects_become_endpoints_in_name_order() -> None:
    accepted, refused = accepted_endpoints([model_endpoint("b"), model_endpoint("a")])
    assert [endpoint.name for endpoint in accepted] == ["a", "b"]
    assert not refused


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (model_endpoint(namespace="default"), "namespace = 'default', must be 'endpoint-fraud'"),
        (model_endpoint("x" * 55), "must be a DNS label of at most 54 characters"),
        (
            model_endpoint(versions=[{"name": "v1", "modelUri": "m", "image": "i", "weight": 90}]),
            "add up to 90, must be 100",
        ),
        (model_endpoint(versions=[]), "add up to 0, must be 100"),
        (model_endpoint(versions=[{"name": "v1"}]), "spec.versions[0].modelUri is missing; set it"),
        (model_endpoint(timeoutSeconds=0), "spec.timeoutSeconds = 0, must be at least 0.001"),
        (
            model_endpoint(versions=[{"name": "v1", "modelUri": "m", "image": "i", "weight": 50}] * 2),
            "name = 'v1' appears 2 times",
        ),
    ],
)
def test_an_object_with_a_fault_is_left_out_and_the_others_are_served(item: dict[str, Any], fault: str) -> None:
    accepted, refused = accepted_endpoints([item, model_endpoint("good")])
    assert [endpoint.name for endpoint in accepted] == ["good"]
    assert fault in "; ".join(refused[item["metadata"]["namespace"], item["metadata"]["name"]])


def test_all_faults_of_an_object_are_reported_at_once() -> None:
    item = model_endpoint(
        namespace="else", timeoutSeconds=-1, versions=[{"name": "V", "modelUri": "m", "image": "i", "weight": 1}]
    )
    _, refused = accepted_endpoints([item])
    assert len(refused["else", "fraud"]) == 4


def test_keys_do_not_depend_on_the_order_in_which_they_are_published() -> None:
    one, two = {"kid": "one", "n": "1"}, {"n": "2", "kid": "two"}
    assert Keys.of("i", {"keys": [one, two]}) == Keys.of("i", {"keys": [two, dict(reversed(one.items()))]})
