"""Pods: EndpointSlices → the addresses that may receive requests now."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headrace.contract import names
from headrace.routing.snapshot.world import PodAddress

PORT_NAME = "http"
"""Name of the front's port in the version's Service; a slice with a single port may name it anything."""
GRPC_PORT_NAME = "grpc"
"""Name of the front's port for gRPC."""


Pods = dict[tuple[str, str], tuple[PodAddress, ...]]
"""(endpoint, version) → addresses in order."""


def ready_pods(slices: Iterable[Mapping[str, Any]]) -> Pods:
    """Ready pods, from discovery.k8s.io/v1 EndpointSlice objects as JSON.

    A slice counts only from its endpoint's own namespace: a tenant cannot label its way into another's traffic.
    """
    return _by_version(slices, is_ready)


def routed_pods(slices: Iterable[Mapping[str, Any]]) -> Pods:
    """Pods that get requests: the ready ones, or while a version has none, those that leave but still serve.

    So does kube-proxy: the last pod of a version, told to go, answers for the seconds that its `preStop` grants, in
    which the next may come.
    """
    kept = list(slices)
    leaving = _by_version(kept, is_leaving)
    return {key: pods or leaving[key] for key, pods in ready_pods(kept).items()}


def is_ready(conditions: Mapping[str, Any]) -> bool:
    """Ready and not terminating. `ready` absent means ready (the API's rule).

    A terminating pod is out even when `ready` says otherwise, as it does for Services that publish unready addresses.
    """
    return conditions.get("ready") is not False and conditions.get("terminating") is not True


def is_leaving(conditions: Mapping[str, Any]) -> bool:
    """Terminating, but still passing its readiness probe."""
    return conditions.get("terminating") is True and conditions.get("serving") is True


def slice_addresses(
    item: Mapping[str, Any], *, default_port: int, wanted: Callable[[Mapping[str, Any]], bool] = is_ready
) -> set[PodAddress]:
    """Addresses in one slice of the pods whose conditions are wanted."""
    if item.get("addressType", "IPv4") not in ("IPv4", "IPv6"):
        return set()
    ports = [port for port in item.get("ports") or () if port.get("port")]
    named = [port for port in ports if port.get("name") == PORT_NAME]
    others = [port for port in ports if port.get("name") != GRPC_PORT_NAME]
    port = (named or others or [{"port": default_port}])[0]["port"]
    grpc_port = next((port["port"] for port in ports if port.get("name") == GRPC_PORT_NAME), 0)
    return {
        # Every address of one endpoint is the same pod, so the first is enough.
        PodAddress(endpoint["addresses"][0], port, grpc_port)
        for endpoint in item.get("endpoints") or ()
        if endpoint.get("addresses") and wanted(endpoint.get("conditions") or {})
    }


def _by_version(slices: Iterable[Mapping[str, Any]], wanted: Callable[[Mapping[str, Any]], bool]) -> Pods:
    found: dict[tuple[str, str], set[PodAddress]] = {}
    for item in slices:
        labels = item["metadata"].get("labels") or {}
        endpoint, version = labels.get(names.ENDPOINT_LABEL), labels.get(names.VERSION_LABEL)
        if not endpoint or not version or item["metadata"].get("namespace") != names.endpoint_namespace(endpoint):
            continue
        addresses = slice_addresses(item, default_port=names.FRONT_PORT, wanted=wanted)
        found.setdefault((endpoint, version), set()).update(addresses)
    return {key: tuple(sorted(addresses)) for key, addresses in sorted(found.items())}
