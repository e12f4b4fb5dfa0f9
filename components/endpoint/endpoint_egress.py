"""EndpointEgress: what a model may open connections to, as inputs, rules and network policies. By default nothing."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from itertools import combinations, permutations
from typing import Annotated, Any, Final, NotRequired, TypedDict, cast

from headrace.components.kubernetes import checks
from headrace.components.kubernetes.manifests import Manifest
from headrace.components.kubernetes.network_policies import of_namespace
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, Items, Text
from headrace.contract.names import DNS_LABEL

Network = IPv4Network | IPv6Network

_HOST: Final = re.compile(rf"(\*\.)?({DNS_LABEL.pattern}\.)+{DNS_LABEL.pattern}")
_IN_CLUSTER: Final = re.compile(r"(.*\.)?(svc|cluster\.local)")
_METADATA: Final = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128")))
"""Where clouds tell a node who it is and hand out its credentials; a network around them does not include them."""
_NO_DESTINATION: Final = tuple(map(ip_network, ("127.0.0.0/8", "::1/128", "224.0.0.0/4", "ff00::/8")))


class Transport(StrEnum):
    """What a port is of."""

    TCP = "TCP"
    UDP = "UDP"


class EndpointEgress(TypedDict):
    """A destination that the model may open connections to, by one of `host`, `cidr` and `namespace`."""

    ports: list[int]
    """Ports at the destination."""
    host: NotRequired[str]
    """DNS name, for example api.openai.com or *.example.com. Needs a cluster with Cilium, which alone knows names;
    elsewhere give `cidr`."""
    cidr: NotRequired[str]
    """Addresses, for example 203.0.113.0/24. Link-local ones, where clouds keep credentials, only if they are named."""
    excluding: NotRequired[list[str]]
    """Networks inside `cidr` that stay closed. Absent: none."""
    namespace: NotRequired[str]
    """Pods of a namespace of the cluster: a Service's address leads to its pods, and policies see these."""
    pod_labels: NotRequired[dict[str, str]]
    """Which pods of `namespace`. Absent: all."""
    protocol: NotRequired[str]
    """TCP or UDP. Default TCP."""


@dataclass(frozen=True, kw_only=True)
class EgressRule:
    """EndpointEgress, checked."""

    ports: Annotated[tuple[Annotated[int, Bounds(minimum=1, maximum=65535)], ...], Items(minimum=1)]
    host: str | None = None
    cidr: str | None = None
    excluding: tuple[str, ...] = ()
    namespace: Annotated[str, Text(pattern=DNS_LABEL.pattern, meaning="a DNS label")] | None = None
    pod_labels: Mapping[str, Any] = field(default_factory=dict)
    protocol: Transport = Transport.TCP

    @property
    def destination(self) -> str:
        """As it was given, with its name."""
        named = {"host": self.host, "cidr": self.cidr, "namespace": self.namespace}
        return next((f"{name} = {value!r}" for name, value in named.items() if value is not None), "no destination")


def egress_faults(given: object) -> Iterator[str]:
    """What is wrong with a list of EndpointEgress, beyond the types of its fields."""
    if not isinstance(given, list | tuple):
        return
    found = [(f"egress[{at}]", read(EgressRule, entry)[0]) for at, entry in enumerate(given)]
    rules = {place: rule for place, rule in found if rule is not None}
    sound = {}
    for place, rule in rules.items():
        faults = list(_faults_of_rule(rule))
        yield from (f"{place}{fault}" for fault in faults)
        if not faults:
            sound[place] = rule
    for (one, first), (two, second) in combinations(sound.items(), 2):
        same = sorted(_shared_ports(first, second))
        if same and _target(first) == _target(second):
            yield f"{two} permits port {same[0]} of {second.destination} as {one} does; remove one of them"
    for (one, first), (two, second) in permutations(sound.items(), 2):
        for closed in _opened_again(first, second):
            yield (
                f"{two}.{second.destination} permits what {one}.excluding = {str(closed)!r} closes, on port "
                f"{min(_shared_ports(first, second))}; remove one of them"
            )


def rules_of_policy(rules: Sequence[EgressRule]) -> list[Manifest]:
    """Egress of a NetworkPolicy, which knows addresses and pods."""
    return [{"to": [_peer(rule)], "ports": _ports(rule)} for rule in rules if rule.host is None]


def rules_by_name(rules: Sequence[EgressRule]) -> list[Manifest]:
    """Egress of a CiliumNetworkPolicy, for the destinations that are names."""
    found = []
    for rule in rules:
        if rule.host is not None:
            ports = [{"port": str(port), "protocol": rule.protocol.value} for port in rule.ports]
            matched = {"matchPattern" if rule.host.startswith("*") else "matchName": rule.host}
            found.append({"toFQDNs": [matched], "toPorts": [{"ports": ports}]})
    return found


def _faults_of_rule(rule: EgressRule) -> Iterator[str]:
    given = [name for name in ("host", "cidr", "namespace") if getattr(rule, name) is not None]
    if len(given) != 1:
        yield f" has {' and '.join(given) if given else 'no destination'}, must have one of host, cidr and namespace"
    for port in sorted({port for port in rule.ports if rule.ports.count(port) > 1}):
        yield f".ports has {port} twice, must be unique; remove one"
    if rule.excluding and rule.cidr is None:
        yield ".excluding is for cidr only; remove it"
    if rule.pod_labels:
        if rule.namespace is None:
            yield ".pod_labels is for namespace only; remove it"
        yield from (f".{fault}" for fault in checks.kubernetes_labels("pod_labels", rule.pod_labels))
    if rule.host is not None:
        yield from (f".host = {rule.host!r}{fault}" for fault in _faults_of_host(rule.host))
    if rule.cidr is not None:
        yield from _faults_of_networks(rule.cidr, rule.excluding)


def _faults_of_host(host: str) -> Iterator[str]:
    if _is_network(host):
        yield " is an address; give it as cidr"
    elif host == "*":
        yield " permits every name there is; name a domain, for example *.example.com, or give cidr"
    elif _IN_CLUSTER.fullmatch(host):
        yield " is a name inside the cluster; give the Service's namespace and pod_labels instead"
    elif not _HOST.fullmatch(host) or len(host) > 253:
        rule = "a full DNS name in lower case, without scheme, port and path"
        yield f", must be {rule}, for example api.example.com or *.example.com"


def _faults_of_networks(cidr: str, excluding: Sequence[str]) -> Iterator[str]:
    outer, fault = _network(cidr)
    if outer is None:
        yield f".cidr = {cidr!r}{fault}"
        return
    if any(_inside(outer, nowhere) for nowhere in _NO_DESTINATION):
        yield f".cidr = {cidr!r} is no address of another machine; remove it"
    closed = []
    for inner in excluding:
        network, fault = _network(inner)
        if network is None:
            yield f".excluding has {inner!r}{fault}"
        elif not _inside(network, outer):
            yield f".excluding has {inner!r}, must be inside cidr = {cidr!r}; correct or remove it"
        else:
            closed.append(network)
    if closed and list(_collapsed(closed)) == [outer]:
        yield f".excluding leaves nothing of cidr = {cidr!r}; remove one of them"


def _network(text: str) -> tuple[Network | None, str]:
    """The network, or what is wrong with the text."""
    rule = ", must be addresses such as 203.0.113.0/24 or one such as 203.0.113.7/32"
    try:
        found = ip_network(text)
    except ValueError:
        try:
            return None, f" has bits outside of its mask; write {ip_network(text, strict=False)}"
        except ValueError:
            return None, rule
    if isinstance(found, IPv6Network) and ("%" in text or found.network_address.ipv4_mapped is not None):
        return None, rule
    return found, ""


def _is_network(text: str) -> bool:
    try:
        ip_address(text.partition("/")[0].strip("[]"))
    except ValueError:
        return False
    return True


def _inside(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(cast(Any, outer))


def _collapsed(networks: Sequence[Network]) -> Iterator[Network]:
    return cast(Iterator[Network], collapse_addresses(cast(Any, networks)))


def _target(rule: EgressRule) -> tuple[Any, ...]:
    cidr = None if rule.cidr is None else ip_network(rule.cidr)
    closed = frozenset(map(ip_network, rule.excluding))
    return rule.host, cidr, closed, rule.namespace, frozenset(rule.pod_labels.items())


def _shared_ports(first: EgressRule, second: EgressRule) -> set[int]:
    return set(first.ports) & set(second.ports) if first.protocol is second.protocol else set()


def _opened_again(first: EgressRule, second: EgressRule) -> Iterator[Network]:
    """Networks that the first rule closes and the second one opens."""
    if first.cidr is None or second.cidr is None or not _shared_ports(first, second):
        return
    opened = ip_network(second.cidr)
    kept = list(_collapsed(list(map(ip_network, second.excluding))))
    for closed in map(ip_network, first.excluding):
        both = closed if _inside(closed, opened) else opened if _inside(opened, closed) else None
        if both is not None and not any(_inside(both, network) for network in kept):
            yield closed


def _peer(rule: EgressRule) -> Manifest:
    if rule.namespace is not None:
        selector = {"podSelector": {"matchLabels": dict(rule.pod_labels)}} if rule.pod_labels else {}
        return {"namespaceSelector": of_namespace(rule.namespace), **selector}
    assert rule.cidr is not None  # a rule without faults has a destination
    outer = ip_network(rule.cidr)
    kept = [known for known in _METADATA if known != outer and _inside(known, outer)]
    closed = [str(network) for version in (4, 6) for network in _closed(rule, kept, version)]
    return {"ipBlock": {"cidr": str(outer), **({"except": closed} if closed else {})}}


def _closed(rule: EgressRule, kept: Sequence[Network], version: int) -> Iterator[Network]:
    found = [network for network in (*map(ip_network, rule.excluding), *kept) if network.version == version]
    return _collapsed(found)


def _ports(rule: EgressRule) -> list[Manifest]:
    return [{"protocol": rule.protocol.value, "port": port} for port in rule.ports]
