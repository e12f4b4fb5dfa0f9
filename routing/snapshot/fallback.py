"""Fallback: the previous version keeps the traffic until every version that is to take it has a pod.

A ModelEndpoint object says what is to serve from the moment that it is applied. The version that served before still
has its pods then, and the object does not name it any more; its Deployment is deleted after the new version's is ready.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from headrace.contract.model_endpoint import ServedVersion
from headrace.routing.snapshot.endpoint_health import Pods, slices_of_versions
from headrace.routing.snapshot.world import Endpoint


def versions_without_pods(endpoint: Endpoint, pods: Mapping[str, int]) -> list[str]:
    """Versions that are to take traffic and have no pod; `pods` counts pods by version."""
    return [version.name for version in endpoint.weighted if pods.get(version.name, 0) == 0]


def previous_versions(endpoint: Endpoint, pods: Mapping[str, int]) -> list[str]:
    """Versions that have pods although the object does not name them any more."""
    named = {version.name for version in endpoint.spec.versions}
    return sorted(version for version, count in pods.items() if count > 0 and version not in named)


def former_version(endpoint: Endpoint, pods: Mapping[str, int], created: Mapping[str, str]) -> str:
    """The oldest of the previous versions that have pods: a younger one was rolled out and never came to serve. Empty
    where there is none; `created` gives each version's creation time, RFC 3339."""
    previous = previous_versions(endpoint, pods)
    return min(previous, key=lambda version: (created.get(version, ""), version), default="")


def with_fallback(
    endpoint: Endpoint, pods: Mapping[str, int], created: Mapping[str, str], *, staying: Mapping[str, int]
) -> Endpoint:
    """The endpoint with the versions that take its traffic now: a previous one while others have no pod yet.

    `staying` counts the pods that are not draining: a version that comes back while its last pods drain is there again
    with its next pod, and until then the version with pods that stay serves. Versions without pods keep their own
    addresses, with weight 0.
    """
    former = former_version(endpoint, staying, created)
    if not former and versions_without_pods(endpoint, pods):
        former = former_version(endpoint, pods, created)
    if not former or not versions_without_pods(endpoint, staying):
        return endpoint
    serving = ServedVersion(name=former, model_uri="", image="")
    named = (replace(version, weight=0) for version in endpoint.spec.versions)
    return replace(endpoint, spec=replace(endpoint.spec, versions=(serving, *named)))


def creation_times(slices: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Endpoint → version → when its first EndpointSlice was created."""
    found: dict[str, dict[str, str]] = {}
    for (endpoint, version), item in slices_of_versions(slices):
        created = item["metadata"].get("creationTimestamp") or ""
        of_endpoint = found.setdefault(endpoint, {})
        of_endpoint[version] = min(created, of_endpoint.get(version, created))
    return found


def pod_counts(pods: Pods) -> dict[str, dict[str, int]]:
    """Endpoint → version → number of its pods."""
    found: dict[str, dict[str, int]] = {}
    for (endpoint, version), addresses in pods.items():
        found.setdefault(endpoint, {})[version] = len(addresses)
    return found
