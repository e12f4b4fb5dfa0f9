"""ApiServer: where the API server listens, as rules of a NetworkPolicy, read from the cluster at each update."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from headrace.components.kubernetes import network_policies
from headrace.components.kubernetes.manifests import Manifest
from headrace.components.kubernetes.object import ApiServerEndpoints, ApiServerService


def api_server_rules(
    name: str, opts: pulumi.ResourceOptions, given: Sequence[str] = ()
) -> pulumi.Output[list[Manifest]]:
    """Egress rules to the API server alone.

    `given` are address blocks that stand for its own addresses, where these change between two updates.
    """
    slice_, service = ApiServerEndpoints(f"{name}-api-server", opts), ApiServerService(f"{name}-api-service", opts)
    known = pulumi.Output.all(slice_.ports, slice_.endpoints, service.spec)
    return known.apply(lambda found: _rules(found[0], found[1], found[2], given))


def block_faults(field: str, value: object) -> Iterator[str]:
    """A list of address blocks, such as 10.0.0.0/24."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        yield f"{field} = {value!r}, must be a list of address blocks, such as ['10.0.0.0/24']"
        return
    for position, block in enumerate(value):
        try:
            ipaddress.ip_network(block)
        except ValueError:
            yield f"{field}[{position}] = {block!r}, must be an address block such as 10.0.0.0/24"


def _rules(
    ports: Sequence[Mapping[str, Any]] | None,
    endpoints: Sequence[Mapping[str, Any]] | None,
    spec: Mapping[str, Any] | None,
    given: Sequence[str],
) -> list[Manifest]:
    """One rule for what the Service leads to and one for the Service: network plugins differ in which they see."""
    behind = [address for entry in endpoints or () for address in entry["addresses"]]
    before = (spec or {}).get("clusterIPs") or ()
    numbers = sorted({int(entry["port"]) for entry in ports or ()})
    return [
        network_policies.to_blocks(given or behind, *numbers),
        network_policies.to_blocks(before, 443),
    ]
