"""PlatformRef: what an endpoint must know of its platform, as plain data that any stack or language can hand on."""

from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, TypedDict

from headrace.components import checks

DELIVERY_KINDS = ("containerd", "registry")


class ImageDelivery(TypedDict):
    """How built images reach the nodes of a cluster."""

    kind: str
    """`containerd`: into the containerd at `address`, for a cluster of this one machine.
    `registry`: pushed to `repository`."""
    address: NotRequired[str]
    """Path of containerd's socket."""
    repository: NotRequired[str]
    """Repository prefix, for example registry.example.com/models."""


class PlatformRef(TypedDict):
    """The output `ref` of ServingPlatform."""

    namespace: str
    """Namespace of the platform's own pods."""
    url: str
    """Base address for clients, https://host:port."""
    image_delivery: ImageDelivery
    """How images reach the platform's nodes."""


def delivery_faults(field: str, delivery: Mapping[str, Any]) -> Iterator[str]:
    """The kind is known, and has the one thing it needs."""
    yield from checks.choice(f"{field}.kind", delivery.get("kind", ""), DELIVERY_KINDS)
    if delivery.get("kind") == "registry" and not delivery.get("repository"):
        yield f"{field}.repository is missing; set it to the repository prefix that the cluster's nodes pull from"
