"""PlatformRef: what an endpoint must know of its platform, as plain data that any stack or language can hand on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict, cast

import pulumi

from headrace.components.kubernetes import checks
from headrace.components.platform.prices import PriceList
from headrace.contract.errors import InputError
from headrace.images.architecture import Architecture, of_this_machine
from headrace.images.request import Base, Delivery, DeliveryKind


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
    build_packages: NotRequired[list[str]]
    """debian: names of Debian packages that Python packages without a wheel are compiled with; they are in no image."""
    conda_channels: NotRequired[list[str]]
    """Addresses of channels from which models get what their conda.yaml asks of conda. Absent: PyPI's packages stand
    in."""
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
    architectures: NotRequired[list[str]]
    """Processors of the nodes, amd64 and arm64. Absent or empty: those that `architectures` gives for the delivery."""
    image_volumes: NotRequired[bool]
    """Whether the nodes mount images as volumes. Absent: they do not."""
    autoscaler: NotRequired[bool]
    """Whether the platform runs the autoscaler. Absent: it does not."""
    table_writer: NotRequired[str]
    """Address and port of the platform's table writer. Absent: it writes no tables of requests."""
    collector: NotRequired[str]
    """Address and port of the platform's Collector, for OTLP over HTTP. Absent: requests are not traced."""
    prices: NotRequired[PriceList]
    """What nodes cost by the hour. Absent: of no pod is a price known but what its endpoint gives."""


def settled(delivery: ImageDelivery) -> ImageDelivery | pulumi.Output[ImageDelivery]:
    """`delivery` itself when all of it is known now, else its output, for example with a repository made beside it."""
    if not any(isinstance(value, pulumi.Output) for value in delivery.values()):
        return delivery
    return pulumi.Output.all(**delivery).apply(lambda known: cast(ImageDelivery, known))


def delivery_faults(delivery: Mapping[str, Any]) -> Iterator[str]:
    """Known keys, a known kind, and what the kind needs."""
    return _faults("image_delivery", Delivery.from_json, delivery)


def architectures(given: Sequence[str] | None, delivery: Delivery) -> tuple[Architecture, ...]:
    """What images are built for, in a fixed order: what is given, else what this machine has where its own containers
    run them, else amd64."""
    if given:
        return tuple(sorted(Architecture(name) for name in set(given)))
    return (Architecture.AMD64 if delivery.kind is DeliveryKind.REGISTRY else of_this_machine(),)


def architecture_faults(given: object) -> Iterator[str]:
    """A list of Architecture's values."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        yield f"architectures = {given!r}, must be a list of {' and '.join(Architecture)}"
        return
    for name in given:
        yield from checks.choice("architectures", name, [each.value for each in Architecture])


def base_faults(base: Mapping[str, Any]) -> Iterator[str]:
    """Known keys, a known kind, and what the kind needs."""
    return _faults("image_base", Base.from_json, base)


def _faults(field: str, parse: Callable[[Mapping[str, Any]], object], value: Mapping[str, Any]) -> Iterator[str]:
    try:
        parse(value)
    except InputError as error:
        yield from (f"{field}: {fault}" for fault in error.faults)
