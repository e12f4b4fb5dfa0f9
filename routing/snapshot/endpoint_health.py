"""EndpointHealth: which pods of each Service get requests now, read from its EndpointSlices."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from headrace.contract import names
from headrace.routing.snapshot.world import PodAddress

SERVICE_LABEL = "kubernetes.io/service-name"
"""On every EndpointSlice that Kubernetes makes: its Service."""
PORT_NAME = "http"
"""Name of the front's port in the version's Service; a slice with a single port may name it anything."""

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
    """Not ready and not terminating: it starts, it fails, or its node does not report."""
    DRAINING = "draining"
    """Terminating, but still passing its readiness probe (`serving`)."""
    GONE = "gone"
    """Terminating, and no longer serving."""

    @classmethod
    def of(cls, conditions: Mapping[str, Any]) -> "State":
        """`ready` absent means ready (the API's rule).

        A terminating pod is not ready even when `ready` says otherwise, as it does for Services that publish unready
        addresses.
        """
        if conditions.get("terminating") is True:
            return cls.DRAINING if conditions.get("serving") is True else cls.GONE
        return cls.UNREADY if conditions.get("ready") is False else cls.READY


@dataclass(frozen=True)
class EndpointHealth:
    """The pods of one Service that get requests, and what must be remembered until its slices are read again.

    Ready pods get requests. While there are none, draining pods that still serve get them, as with kube-proxy: the last
    pod of a version answers for the seconds that its `preStop` hook grants, in which the next pod may come. Pods that
    are `unready_but_kept` get requests too.
    """

    routable: Addresses = frozenset()
    """Pods that get requests."""
    staying: Addresses = frozenset()
    """Those of them that are not draining."""
    once_ready: Addresses = frozenset()
    """Pods that exist and were ready at some time."""
    unready_but_kept: Addresses = frozenset()
    """Pods that were ready and stopped being so when no pod of the Service was ready any more. All of them at once is a
    statement about the observer, not about the pods: the node controller marks pods unready when it has not heard from
    their nodes for a while, because the API server was away. They get requests until as many pods are ready as are kept
    here; a pod that terminates leaves at once (docs/decisions/0209-unready-all-at-once.md)."""

    def updated(self, found: Mapping[State, Addresses]) -> "EndpointHealth":
        """The health of the same Service after its slices were read again."""
        ready, draining = found[State.READY], found[State.DRAINING]
        present = ready | found[State.UNREADY]
        once_ready = self.once_ready & present | ready
        kept = self.unready_but_kept & present if ready else once_ready
        if len(ready) >= len(kept):
            kept = frozenset()
        staying = ready | kept
        return EndpointHealth(staying | (frozenset() if ready else draining), staying, once_ready, kept)


@dataclass(frozen=True)
class RoutablePods:
    """The health of every Service. Each reading of the slices begins with what the reading before came to."""

    versions: Mapping[Version, EndpointHealth] = field(default_factory=dict)
    balancers: EndpointHealth = EndpointHealth()
    """The LoadBalancer's own Service."""
    managers: EndpointHealth = EndpointHealth()
    """The management API's Service."""
    pop_proxies: EndpointHealth = EndpointHealth()
    """The PopProxy's Service; nothing is routed to it, its pods are counted."""
    consoles: EndpointHealth = EndpointHealth()
    """The console's Service."""
    activators: EndpointHealth = EndpointHealth()
    """The activator's Service."""

    @property
    def pods(self) -> Pods:
        """Pods that get requests, of each version that has a Service."""
        return {version: tuple(sorted(health.routable)) for version, health in self.versions.items()}

    @property
    def staying(self) -> Pods:
        """Those of them that are not draining."""
        return {version: tuple(sorted(health.staying)) for version, health in self.versions.items()}

    @property
    def unready_but_kept(self) -> int:
        """How many pods of models get requests although their slices call them unready."""
        return sum(len(health.unready_but_kept) for health in self.versions.values())

    def updated(self, models: Iterable[Mapping[str, Any]], platform: Iterable[Mapping[str, Any]]) -> "RoutablePods":
        """From discovery.k8s.io/v1 EndpointSlice objects as JSON: the models', and the platform's own that are used."""
        before, new = self.versions, EndpointHealth()
        versions = {version: before.get(version, new).updated(found) for version, found in _by_version(models).items()}
        own: dict[str, list[Mapping[str, Any]]] = {}
        for item in platform:
            own.setdefault(_service(item), []).append(item)
        managers, activators = own.pop(names.MANAGEMENT, []), own.pop(names.ACTIVATOR, [])
        pop_proxies = own.pop(names.POP_PROXY, [])
        consoles = own.pop(names.CONSOLE, [])
        balancers = [item for items in own.values() for item in items]
        return RoutablePods(
            versions,
            self.balancers.updated(_addresses(balancers, default_port=names.LOAD_BALANCER_PORT)),
            self.managers.updated(_addresses(managers, default_port=names.MANAGEMENT_PORT)),
            self.pop_proxies.updated(_addresses(pop_proxies, default_port=names.POP_PORT)),
            self.consoles.updated(_addresses(consoles, default_port=names.CONSOLE_PORT)),
            self.activators.updated(_addresses(activators, default_port=names.ACTIVATOR_PORT)),
        )


def slices_of_versions(slices: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Version, Mapping[str, Any]]]:
    """Slices of model versions, each with its version.

    A slice counts only in its endpoint's own namespace: a tenant cannot label its way into another's traffic.
    """
    for item in slices:
        labels = item["metadata"].get("labels") or {}
        endpoint, version = labels.get(names.ENDPOINT_LABEL), labels.get(names.VERSION_LABEL)
        if endpoint and version and item["metadata"].get("namespace") == names.endpoint_namespace(endpoint):
            yield (endpoint, version), item


def ready_pods(slices: Iterable[Mapping[str, Any]]) -> Pods:
    """Ready pods of each version that has a Service."""
    return {version: tuple(sorted(found[State.READY])) for version, found in _by_version(slices).items()}


def versions_with_unready_pods(slices: Iterable[Mapping[str, Any]]) -> frozenset[Version]:
    """Versions of which a pod starts, fails or is not reported on."""
    return frozenset(version for version, found in _by_version(slices).items() if found[State.UNREADY])


def _by_version(slices: Iterable[Mapping[str, Any]]) -> dict[Version, Mapping[State, Addresses]]:
    of_version: dict[Version, list[Mapping[str, Any]]] = {}
    for version, item in slices_of_versions(slices):
        of_version.setdefault(version, []).append(item)
    return {version: _addresses(items, default_port=names.FRONT_PORT) for version, items in sorted(of_version.items())}


def _service(item: Mapping[str, Any]) -> str:
    """The Service that a slice is of."""
    return str((item["metadata"].get("labels") or {}).get(SERVICE_LABEL, ""))


def _addresses(slices: Iterable[Mapping[str, Any]], *, default_port: int) -> Mapping[State, Addresses]:
    """The addresses in the slices of one Service."""
    found: dict[State, Addresses] = dict.fromkeys(State, frozenset())
    for item in slices:
        if item.get("addressType", "IPv4") not in ("IPv4", "IPv6"):
            continue
        ports = [port for port in item.get("ports") or () if port.get("port")]
        named = [port for port in ports if port.get("name") == PORT_NAME]
        port = (named or ports or [{"port": default_port}])[0]["port"]
        for endpoint in item.get("endpoints") or ():
            if endpoint.get("addresses"):
                # Every address of one endpoint is the same pod, so the first is enough.
                state = State.of(endpoint.get("conditions") or {})
                found[state] |= {PodAddress(endpoint["addresses"][0], port)}
    return found
