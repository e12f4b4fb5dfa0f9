"""EndpointSlices → the addresses that get requests."""

from typing import Any

from headrace.contract import names
from headrace.routing.snapshot import RoutablePods, ready_pods, versions_with_unready_pods


def endpoint_slice(*pods: dict[str, Any], namespace: str = "endpoint-fraud", **fields: Any) -> dict[str, Any]:
    slice_labels = {names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v1"}
    return {
        "metadata": {"namespace": namespace, "labels": slice_labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": list(pods),
        **fields,
    }


def pod(ip: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "conditions": conditions}


def addresses_of(*slices: dict[str, Any]) -> list[str]:
    return [f"{found.ip}:{found.port}" for found in ready_pods(slices).get(("fraud", "v1"), ())]


def test_a_pod_gets_requests_when_it_is_ready_and_not_on_its_way_out() -> None:
    found = addresses_of(
        endpoint_slice(
            pod("10.0.0.1", ready=True, serving=True, terminating=False),
            pod("10.0.0.2", ready=False, serving=True, terminating=True),
            pod("10.0.0.3", ready=False),
            pod("10.0.0.4", ready=True, terminating=True),
            pod("10.0.0.5"),
            {"addresses": ["10.0.0.6"]},
        )
    )
    assert found == ["10.0.0.1:8080", "10.0.0.5:8080", "10.0.0.6:8080"]


def serving(ip: str) -> dict[str, Any]:
    return pod(ip, ready=True, serving=True, terminating=False)


def unready(ip: str) -> dict[str, Any]:
    return pod(ip, ready=False, serving=False, terminating=False)


def leaving(ip: str) -> dict[str, Any]:
    return pod(ip, ready=False, serving=True, terminating=True)


def gone(ip: str) -> dict[str, Any]:
    return pod(ip, ready=False, serving=False, terminating=True)


def routed(*looks: list[dict[str, Any]]) -> list[str]:
    """Last parts of the addresses that get requests after slices showed these pods, one look after the other."""
    pods = RoutablePods()
    for shown in looks:
        pods = pods.updated([endpoint_slice(*shown)], [])
    return [found.ip.rpartition(".")[2] for found in pods.pods["fraud", "v1"]]


A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"


def test_the_last_pods_of_a_version_get_requests_until_they_stop_serving() -> None:
    assert routed([leaving(A), gone(B), unready(C)]) == ["1"]
    assert routed([leaving(A), serving(C)]) == ["3"], "who leaves gets nothing once another is ready"
    assert routed([gone(A), unready(C)]) == []
    assert ready_pods([endpoint_slice(leaving(A))]) == {("fraud", "v1"): ()}, "and does not count as ready"


def test_pods_that_are_all_called_unready_get_requests_until_as_many_are_ready() -> None:
    silent = [serving(A), serving(B)], [unready(A), serving(B)], [unready(A), unready(B), unready(C)]
    assert routed(*silent) == ["1", "2"], "but not one that was never ready"
    assert routed(*silent, [serving(A), unready(B)]) == ["1", "2"], "the first to come back has not the load of all"
    assert routed(*silent, [serving(A), serving(B)], [serving(A), unready(B)]) == ["1"], "then they are believed again"
    assert routed(*silent, [unready(A), serving(B), serving(C)]) == ["2", "3"], "others in their place are as good"


def test_a_pod_in_doubt_that_is_told_to_go_or_has_gone_gets_nothing() -> None:
    silent = [serving(A), serving(B)], [unready(A), unready(B)]
    assert routed(*silent, [unready(A), gone(B)]) == ["1"]
    assert routed(*silent, [unready(A)]) == ["1"]
    assert routed(*silent, [unready(A), leaving(B)]) == ["1", "2"], "it still serves, which of the other is not known"
    assert routed(*silent, [unready(C)]) == []
    assert routed(*silent, [], [unready(A)]) == [], "one that comes back begins anew"


def test_an_unready_pod_beside_ready_ones_gets_nothing() -> None:
    assert routed([serving(A), serving(B)], [serving(A), unready(B)]) == ["1"]


def test_slices_of_one_version_are_joined_and_repeats_count_once() -> None:
    assert addresses_of(endpoint_slice(pod("10.0.0.2")), endpoint_slice(pod("10.0.0.1"), pod("10.0.0.2"))) == [
        "10.0.0.1:8080",
        "10.0.0.2:8080",
    ]


def test_a_slice_from_another_namespace_cannot_take_part_in_an_endpoint() -> None:
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), namespace="endpoint-evil")) == []


def test_the_port_is_the_one_named_http_or_else_the_only_one() -> None:
    admin, http = {"name": "admin", "port": 8002}, {"name": "http", "port": 9000}
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), ports=[admin, http])) == ["10.0.0.1:9000"]
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), ports=[{"port": 7000}])) == ["10.0.0.1:7000"]
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), ports=None)) == ["10.0.0.1:8080"]


def test_a_version_with_a_pod_that_is_not_ready_is_known() -> None:
    version = ("fraud", "v1")
    assert versions_with_unready_pods([endpoint_slice(serving(A), unready(B))]) == {version}
    assert versions_with_unready_pods([endpoint_slice(serving(A), leaving(B), gone(C))]) == frozenset()


def test_slices_without_our_labels_or_without_addresses_are_nothing() -> None:
    assert ready_pods([{"metadata": {"namespace": "endpoint-fraud"}}]) == {}
    assert addresses_of(endpoint_slice(endpoints=None)) == []
    assert addresses_of(endpoint_slice(pod("a.example"), addressType="FQDN")) == []
