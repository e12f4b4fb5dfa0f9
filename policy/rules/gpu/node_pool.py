"""Karpenter's NodePools, and which of them make nodes with accelerators."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rules.rule import Resource

_ACCELERATED = re.compile(r"(?:g|p|inf|trn|dl)(?:\d.*)?")
"""AWS' accelerated instance categories, families and types: p, g6e, p5.48xlarge."""
_GPU_KEYS = ("instance-gpu-name", "instance-gpu-count", "instance-gpu-memory", "instance-accelerator-name")


def node_template(resource: Resource) -> Mapping[str, Any]:
    """The spec of the nodes that a NodePool makes."""
    return (resource.spec.get("template") or {}).get("spec") or {}


def is_gpu_pool(resource: Resource) -> bool:
    """Whether the NodePool's requirements or limits speak of accelerators."""
    if resource.kind != "NodePool":
        return False
    limits = resource.spec.get("limits") or {}
    return any("gpu" in name for name in limits) or any(map(_asks_for_gpu, _requirements(resource)))


def _requirements(resource: Resource) -> Iterator[Mapping[str, Any]]:
    yield from node_template(resource).get("requirements") or ()


def _asks_for_gpu(requirement: Mapping[str, Any]) -> bool:
    key, values = str(requirement.get("key") or ""), [str(value) for value in requirement.get("values") or ()]
    if key.rpartition("/")[2] in _GPU_KEYS:
        return requirement.get("operator") not in ("DoesNotExist", "NotIn")
    if key.endswith(("instance-family", "instance-type", "instance-category")):
        return requirement.get("operator") == "In" and any(map(_ACCELERATED.fullmatch, values))
    return False
