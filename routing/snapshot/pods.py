"""Pods: EndpointSlices → the addresses that may receive requests now."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from headrace.contract import names
from headrace.routing.snapshot.world import PodAddress

PORT_NAME = "http"
"""Name of the front's port in the version's Service; a slice with a single port may name it anything."""
GRPC_PORT_NAME = "grpc"
"""Name of the front's port for gRPC."""

Version = tuple[str, str]
"""Endpoint and version."""
Pods = Mapping[Version, tuple[PodAddress, ...]]
"""Addresses in order."""
Addresses = frozenset[PodAddress]


class State(Enum):
    """What a slice's conditions say of a pod."""

    READY = "ready"
    """Ready and not terminating."""
    UNREADY = "unready"
    """Not ready, and not told to go: it starts, it fails, or its node is silent."""
    LEAVING = "leaving"
    """Terminating, but still passing its readiness probe."""
    GONE = "gone"
    """Terminating, and no longer serving."""

    @classmethod
    def of(cls, conditions: Mapping[str, Any]) -> "State":
        """`ready` absent means ready (the API's rule).

        A terminating pod is out even when `ready` says otherwise, as it does for Services that publish unready
        addresses.
        """
        if conditions.get("terminating") is True:
            return cls.LEAVING if conditions.get("serving") is True else cls.GONE
        return cls.UNREADY if conditions.get("ready") is False else cls.READY


@dataclass(frozen=True)
class Routed:
    """The pods of one Service that get requests, and what the next look must know of this one.

    The ready ones. While there are none, those that leave but still serve, as with kube-proxy: the last pod of a
    version, told to go, answers for the seconds that its `preStop` grants, in which the next may come. And those whose
    unreadiness is doubted.
    """

    pods: Addresses = frozenset()
    proven: Addresses = frozenset()
    """Pods that are there and were ready once."""
    doubted: Addresses = frozenset()
    """The proven pods, from when none of them is called ready: that tells more of who says so than of them. The node
    controller does it when it has not heard of their nodes for a while, because the API server was away. They get
    requests until as many pods are ready as there are in doubt; one that leaves is out at once."""

    def next(self, found: Mapping[State, Addresses]) -> "Routed":
        """The same Service as its slices show it now."""
        ready, leaving = found[State.READY], found[State.LEAVING]
        present = ready | found[State.UNREADY]
        proven = self.proven & present | ready
        doubted = self.doubted & present if ready else proven
        if len(ready) >= len(doubted):
            doubted = frozenset()
        return Routed(ready | doubted | (frozenset() if ready else leaving), proven, doubted)


@dataclass(frozen=True)
class Routing:
    """All pods that get requests. Each look at the slices begins with what the one before it came to."""

    versions: Mapping[Version, Routed] = field(default_factory=dict)
    balancers: Routed = Routed()
    """The LoadBalancer's own."""

    @property
    def pods(self) -> Pods:
        """Of each version that has a Service."""
        return {version: tuple(sorted(routed.pods)) for version, routed in self.versions.items()}

    @property
    def doubted(self) -> int:
        """How many pods of models get requests although they are called unready."""
        return sum(len(routed.doubted) for routed in self.versions.values())

    def next(self, models: Iterable[Mapping[str, Any]], balancers: Iterable[Mapping[str, Any]]) -> "Routing":
        """From discovery.k8s.io/v1 EndpointSlice objects as JSON: the models' and the LoadBalancer's."""
        versions = {
            version: self.versions.get(version, Routed()).next(found)
            for version, found in sorted(_by_version(models).items())
        }
        found = _nobody()
        for item in balancers:
            _add(found, item, default_port=names.LOAD_BALANCER_PORT)
        return Routing(versions, self.balancers.next(found))


def owned(slices: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Version, Mapping[str, Any]]]:
    """Slices of model versions, each with its version.

    One counts only from its endpoint's own namespace: a tenant cannot label its way into another's traffic.
    """
    for item in slices:
        labels = item["metadata"].get("labels") or {}
        endpoint, version = labels.get(names.ENDPOINT_LABEL), labels.get(names.VERSION_LABEL)
        if endpoint and version and item["metadata"].get("namespace") == names.endpoint_namespace(endpoint):
            yield (endpoint, version), item


def ready_pods(slices: Iterable[Mapping[str, Any]]) -> Pods:
    """Ready pods of each version that has a Service."""
    return {version: tuple(sorted(found[State.READY])) for version, found in sorted(_by_version(slices).items())}


def _nobody() -> dict[State, Addresses]:
    return dict.fromkeys(State, frozenset())


def _by_version(slices: Iterable[Mapping[str, Any]]) -> dict[Version, dict[State, Addresses]]:
    versions: dict[Version, dict[State, Addresses]] = {}
    for version, item in owned(slices):
        _add(versions.setdefault(version, _nobody()), item, default_port=names.FRONT_PORT)
    return versions


def _add(found: dict[State, Addresses], item: Mapping[str, Any], *, default_port: int) -> None:
    """Adds the addresses in one slice."""
    if item.get("addressType", "IPv4") not in ("IPv4", "IPv6"):
        return
    ports = [port for port in item.get("ports") or () if port.get("port")]
    named = [port for port in ports if port.get("name") == PORT_NAME]
    others = [port for port in ports if port.get("name") != GRPC_PORT_NAME]
    port = (named or others or [{"port": default_port}])[0]["port"]
    grpc_port = next((port["port"] for port in ports if port.get("name") == GRPC_PORT_NAME), 0)
    for endpoint in item.get("endpoints") or ():
        if endpoint.get("addresses"):
            # Every address of one endpoint is the same pod, so the first is enough.
            pod = PodAddress(endpoint["addresses"][0], port, grpc_port)
            state = State.of(endpoint.get("conditions") or {})
            found[state] = found[state] | {pod}
