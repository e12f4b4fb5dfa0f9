"""PlatformRef: what an endpoint must know of its platform, as plain data that any stack or language can hand on."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from headrace.contract.errors import InputError
from headrace.images.request import Base, Delivery


class ImageDelivery(TypedDict):
    """How built images reach the nodes of a cluster."""

    kind: str
    """containerd: into the containerd at `address`, for a cluster of this one machine. registry: pushed to
    `repository`. kind: into the nodes of the kind cluster `cluster`."""
    address: NotRequired[pulumi.Input[str]]
    """containerd: path of its socket."""
    ctr: NotRequired[str]
    """containerd: path of the ctr program. Absent: the one on PATH."""
    repository: NotRequired[pulumi.Input[str]]
    """registry: host and path under which images are pushed, for example registry.example.com/models."""
    plain_http: NotRequired[bool]
    """registry: speak HTTP instead of HTTPS, for a registry on this machine. Default false."""
    cluster: NotRequired[str]
    """kind: name of the cluster."""


class ImageBase(TypedDict):
    """What lies under every layer of an image."""

    kind: NotRequired[str]
    """debian: made here. registry: copied from `reference`. Default debian."""
    reference: NotRequired[str]
    """registry: the image to copy, best pinned by digest."""
    python: NotRequired[str]
    """Minor version of the interpreter it holds. Absent: 3.11, and for a model the one that it was logged with where a
    Debian release has it."""
    revision: NotRequired[str]
    """debian: any text; another one makes the base again, with the packages of that day."""
    packages: NotRequired[list[str]]
    """debian: names of Debian packages that it has besides, for libraries that wheels do not carry."""
    python_path: NotRequired[str]
    """registry: path of the interpreter in it. Default that of the official Python images."""


class PlatformRef(TypedDict):
    """The output `ref` of ServingPlatform.

    Components declare it as a mapping to anything: Pulumi's component host cannot translate the field names of a value
    that is known only later, so these are spelled alike in every language.
    """

    namespace: str
    """Namespace of the platform's own pods."""
    url: str
    """Base address for clients, https://host:port."""
    image_delivery: ImageDelivery
    """How images reach the platform's nodes."""
    image_base: ImageBase
    """What lies under every layer of an image."""
    autoscaler: NotRequired[bool]
    """Whether the platform runs the autoscaler. Absent: it does not."""


def settled(delivery: ImageDelivery) -> ImageDelivery | pulumi.Output[ImageDelivery]:
    """`delivery` itself when all of it is known now, else its output, for example with a repository made beside it."""
    if not any(isinstance(value, pulumi.Output) for value in delivery.values()):
        return delivery
    return pulumi.Output.all(**delivery).apply(lambda known: cast(ImageDelivery, known))


def delivery_faults(delivery: Mapping[str, Any]) -> Iterator[str]:
    """Known keys, a known kind, and what the kind needs."""
    return _faults("image_delivery", Delivery.from_json, delivery)


def base_faults(base: Mapping[str, Any]) -> Iterator[str]:
    """Known keys, a known kind, and what the kind needs."""
    return _faults("image_base", Base.from_json, base)


def _faults(field: str, parse: Callable[[Mapping[str, Any]], object], value: Mapping[str, Any]) -> Iterator[str]:
    try:
        parse(value)
    except InputError as error:
        yield from (f"{field}: {fault}" for fault in error.faults)
