"""Where the API server listens, as a NetworkPolicy's rules. tests/components/platform has it in the platform."""

from typing import Any

import pulumi
import pytest

from headrace.components.kubernetes.api_server import api_server_rules, block_faults
from headrace.components.testing import record


def blocks(given: list[str], answers: dict[str, Any]) -> dict[str, list[int]]:
    """Ports by address block."""
    found: list[dict[str, Any]] = []

    def program() -> None:
        api_server_rules("here", pulumi.ResourceOptions(), given).apply(found.extend)

    record(program, answers=answers)
    return {
        peer["ipBlock"]["cidr"]: [port["port"] for port in rule["ports"]]
        for rule in found
        for peer in rule["to"]
        if "ipBlock" in peer
    }


def cluster(addresses: list[list[str]], ports: list[int], service: list[str]) -> dict[str, Any]:
    return {
        "kubernetes:discovery.k8s.io/v1:EndpointSlice": {
            "ports": [{"port": port} for port in ports],
            "endpoints": [{"addresses": own} for own in addresses],
        },
        "kubernetes:core/v1:Service": {"spec": {"clusterIPs": service}},
    }


def test_each_address_has_a_rule_and_so_has_the_service_in_front() -> None:
    three = cluster([["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"]], [6443], ["10.96.0.1"])
    own = {f"10.0.0.{last}/32": [6443] for last in (1, 2, 3)}
    assert blocks([], three) == {**own, "10.96.0.1/32": [443]}


def test_addresses_of_both_families() -> None:
    two = cluster([["2001:db8::1"]], [6443], ["10.96.0.1", "fd00::1"])
    assert blocks([], two) == {"2001:db8::1/128": [6443], "10.96.0.1/32": [443], "fd00::1/128": [443]}


def test_blocks_that_are_given_stand_for_the_addresses_of_today() -> None:
    one = cluster([["10.0.0.1"]], [443], ["10.96.0.1"])
    assert blocks(["10.0.0.0/16"], one) == {"10.0.0.0/16": [443], "10.96.0.1/32": [443]}


def test_where_nothing_is_known_nothing_is_open() -> None:
    assert blocks([], cluster([], [], [])) == {}


@pytest.mark.parametrize("value", ["10.0.0.0/24", ["10.0.0.1/24"], ["everywhere"], [7.5], {"a": 1}])
def test_what_is_no_list_of_blocks_is_refused(value: object) -> None:
    (fault,) = block_faults("api_server_addresses", value)
    assert fault.startswith("api_server_addresses")
    assert "10.0.0.0/24" in fault
