"""Pods: EndpointSlices → the addresses that may receive requests now."""

from collections.abc import Iterable, Mapping
from typing import Any

from headrace.contract import names
from headrace.routing.snapshot.world import PodAddress

PORT_NAME = "http"
"""Name of the front's port in the version's Service; a slice with a single port may name it anything."""


def ready_pods(slices: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[PodAddress, ...]]:
    """(endpoint, version) → ready pods in address order, from discovery.k8s.io/v1 EndpointSlice objects as JSON.

    A slice counts only from its endpoint's own namespace: a tenant cannot label its way into another's traffic.
    """
    found: dict[tuple[str, str], set[PodAddress]] = {}
    for item in slices:
        labels = item["metadata"].get("labels") or {}
        endpoint, version = labels.get(names.ENDPOINT_LABEL), labels.get(names.VERSION_LABEL)
        if not endpoint or not version or item["metadata"].get("namespace") != names.endpoint_namespace(endpoint):
            continue
        found.setdefault((endpoint, version), set()).update(slice_addresses(item, default_port=names.FRONT_PORT))
    return {key: tuple(sorted(addresses)) for key, addresses in sorted(found.items())}


def slice_addresses(item: Mapping[str, Any], *, default_port: int) -> set[PodAddress]:
    """Addresses of one slice that are ready and not terminating.

    `ready` absent means ready (the API's rule). A terminating pod is left out even when `ready` says otherwise, as it
    does for Services that publish unready addresses: its last act must not be to refuse a request.
    """
    if item.get("addressType", "IPv4") not in ("IPv4", "IPv6"):
        return set()
    ports = [port for port in item.get("ports") or () if port.get("port")]
    named = [port for port in ports if port.get("name") == PORT_NAME]
    port = (named or ports or [{"port": default_port}])[0]["port"]
    addresses: set[PodAddress] = set()
    for endpoint in item.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is False or conditions.get("terminating") is True:
            continue
        # Every address of one endpoint is the same pod, so the first is enough.
        addresses.update(PodAddress(ip, port) for ip in endpoint["addresses"][:1])
    return addresses
