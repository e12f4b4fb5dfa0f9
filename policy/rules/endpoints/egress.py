"""What an endpoint's model may connect to is named: a network as wide as the internet names nothing."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

from rules import labels
from rules.rule import ObjectRule, Resource, Settings

_WIDEST = {4: 8, 6: 32}
"""Shortest prefix that still is somebody's network: 10.0.0.0/8 is, and so is what a registry gives a provider."""
_ANYWHERE = frozenset(("world", "all", "world-ipv4", "world-ipv6"))
"""Cilium's words for every address."""


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if not resource.namespace.startswith(labels.ENDPOINT_NAMESPACE) or resource.kind not in (
        "NetworkPolicy",
        "CiliumNetworkPolicy",
    ):
        return
    rules = [rule or {} for rule in resource.spec.get("egress") or ()]
    found = _by_address(rules) if resource.kind == "NetworkPolicy" else _by_name(rules)
    for destination in found:
        yield f"the model may connect to {destination}; name hosts or networks of at least /{_WIDEST[4]} in egress"


def _by_address(rules: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    blocks = []
    for rule in rules:
        if not rule.get("to"):
            yield "every address"
        for peer in rule.get("to") or ():
            blocks.append(str(((peer or {}).get("ipBlock") or {}).get("cidr") or ""))
            if (peer or {}).get("namespaceSelector") == {} and not (peer or {}).get("podSelector"):
                yield "every pod of the cluster"
    yield from _wide(blocks)


def _by_name(rules: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for rule in rules:
        for host in rule.get("toFQDNs") or ():
            name = host.get("matchPattern") or host.get("matchName") or ""
            if not str(name).strip("*."):
                yield f"every host ({name})"
        for entity in rule.get("toEntities") or ():
            if entity in _ANYWHERE:
                yield f"every address ({entity})"
    yield from _wide([str(block) for rule in rules for block in rule.get("toCIDR") or ()])
    yield from _wide([str(block.get("cidr")) for rule in rules for block in rule.get("toCIDRSet") or ()])


def _wide(blocks: Sequence[str]) -> Iterator[str]:
    """Networks that are too wide, also those that are given in parts."""
    networks: list[IPv4Network | IPv6Network] = []
    for block in blocks:
        try:
            networks.append(ip_network(block, strict=False))
        except ValueError:
            continue  # the API server refuses it
    for version, widest in _WIDEST.items():
        of_version: Any = [network for network in networks if network.version == version]
        yield from (str(network) for network in collapse_addresses(of_version) if network.prefixlen < widest)


RULE = ObjectRule(
    name="headrace-endpoint-egress",
    description="Models may connect to destinations that are named, not to every address.",
    judge=_judge,
)
