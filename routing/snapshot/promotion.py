"""Promotion: traffic stays with the version before until every version that shall take it has a pod.

The ModelEndpoint object says what shall serve, from the moment that it is applied. What served before stands beside it
and is not named any more; it is deleted only after the new version's Deployment was ready.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from headrace.contract.model_endpoint import ServedVersion
from headrace.routing.snapshot.pods import Pods, owned
from headrace.routing.snapshot.world import Endpoint


def waiting(endpoint: Endpoint, pods: Mapping[str, int]) -> list[str]:
    """Versions that shall take traffic and have no pod; `pods` counts them by version."""
    return [version.name for version in endpoint.weighted if pods.get(version.name, 0) == 0]


def former(endpoint: Endpoint, pods: Mapping[str, int]) -> list[str]:
    """Versions that the object does not name and that have pods all the same."""
    named = {version.name for version in endpoint.spec.versions}
    return sorted(version for version, count in pods.items() if count > 0 and version not in named)


def promoted(endpoint: Endpoint, pods: Mapping[str, int], born: Mapping[str, str]) -> Endpoint:
    """The endpoint with the versions that take its traffic now.

    Of several former versions the oldest one: younger ones were never proven. `born` gives each version's time of
    birth, RFC 3339. Versions that wait have their own addresses already.
    """
    others = former(endpoint, pods)
    if not others or not waiting(endpoint, pods):
        return endpoint
    oldest = min(others, key=lambda version: (born.get(version, ""), version))
    kept = ServedVersion(name=oldest, model_uri="", image="")
    come = (replace(version, weight=0) for version in endpoint.spec.versions)
    return replace(endpoint, spec=replace(endpoint.spec, versions=(kept, *come)))


def births(slices: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Endpoint → version → when its first EndpointSlice was made."""
    found: dict[str, dict[str, str]] = {}
    for (endpoint, version), item in owned(slices):
        made = item["metadata"].get("creationTimestamp") or ""
        of_endpoint = found.setdefault(endpoint, {})
        of_endpoint[version] = min(made, of_endpoint.get(version, made))
    return found


def counts(pods: Pods) -> dict[str, dict[str, int]]:
    """Endpoint → version → number of its pods."""
    found: dict[str, dict[str, int]] = {}
    for (endpoint, version), addresses in pods.items():
        found.setdefault(endpoint, {})[version] = len(addresses)
    return found
