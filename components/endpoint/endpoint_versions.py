"""EndpointVersion: several versions behind one address, as inputs and rules.

`model_uri` names one version, which takes over all at once or by a rollout. `versions` names all that serve, with the
shares that the program decides on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, TypedDict

from headrace.components.endpoint.endpoint_scale import EndpointScale, scale_faults
from headrace.components.endpoint.runtime_choice import EndpointRuntime, runtime_faults
from headrace.components.kubernetes import checks
from headrace.contract.declaration import Bounds, NotEmpty
from headrace.contract.model_endpoint import Label, Percent

_FOR_ONE_MODEL = ("rollout", "evidence")
"""Inputs that are about the one model that `model_uri` names."""


class EndpointVersion(TypedDict):
    """One of several versions behind an endpoint, with its runtime, scale, cpu and memory_mib, or its own."""

    model_uri: str
    """Registered model, for example models:/fraud/7."""
    name: NotRequired[str]
    """Name in the addresses of the version. Absent: from the model's version, for example v7."""
    weight: NotRequired[int]
    """Share of the requests, in percent; those of all versions add up to 100. Default 0: only who names the version
    reaches it."""
    shadow: NotRequired[int]
    """Share of the requests, in percent, of which it gets a copy, where its weight is 0. Predictions in which it
    differs from the version that serves are counted. Default 0."""
    runtime: NotRequired[EndpointRuntime]
    """What serves this version."""
    scale: NotRequired[EndpointScale]
    """Bounds of this version's pods."""
    cpu: NotRequired[float]
    """Cores that one of its pods may use."""
    memory_mib: NotRequired[int]
    """Memory of one of its pods in MiB."""


@dataclass(frozen=True, kw_only=True)
class VersionInputs:
    """EndpointVersion, checked."""

    model_uri: NotEmpty
    name: Label | None = None
    weight: Percent = 0
    shadow: Percent = 0
    runtime: EndpointRuntime = field(default_factory=EndpointRuntime)
    scale: EndpointScale | None = None
    cpu: Annotated[float, Bounds(minimum=0.05)] | None = None
    memory_mib: Annotated[int, Bounds(minimum=256)] | None = None


def model_missing(args: Mapping[str, Any]) -> Iterator[str]:
    """That the inputs name no model at all."""
    if not args.get("model_uri") and not args.get("versions"):
        yield "model_uri is missing; set it, or versions where several serve"


def version_faults(args: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with `versions` beside the other inputs, beyond the types of its fields."""
    versions = args.get("versions")
    yield from model_missing(args)
    if not versions or not isinstance(versions, list | tuple):
        return
    if args.get("model_uri"):
        yield "model_uri is given with versions, must be one of both; make it a version, or remove versions"
    for key in _FOR_ONE_MODEL:
        if key in args:
            yield f"{key} is given with versions, must be with model_uri alone; remove one of both"
    known = [each for each in versions if isinstance(each, Mapping)]
    total = sum(each["weight"] for each in known if isinstance(each.get("weight"), int))
    if total != 100:
        yield f"versions have weights that add up to {total}, must be 100; change a weight"
    yield from checks.unique("versions[].name", [each["name"] for each in known if isinstance(each.get("name"), str)])
    for position, each in enumerate(versions):
        if isinstance(each, Mapping):
            yield from _of_one(f"versions[{position}]", each)


def _of_one(place: str, version: Mapping[str, Any]) -> Iterator[str]:
    weight, shadow = version.get("weight", 0), version.get("shadow", 0)
    if isinstance(weight, int) and isinstance(shadow, int) and weight > 0 < shadow:
        rule = "must be 0 where weight is not: a version is not compared with itself; set one of both to 0"
        yield f"{place}.shadow = {shadow} with weight = {weight}, {rule}"
    for fault in (*runtime_faults(version.get("runtime", {})), *scale_faults(version.get("scale", {}))):
        yield f"{place}.{fault}"
