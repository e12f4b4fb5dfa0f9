"""RolloutSplit: the shares of a new version and of the one before it, as the rollout controller has decided them.

The controller writes its decision to the object's status; the control plane holds to it, and gives a version's share to
the other one while it has no pod. So a rollout's weights need nobody to be alive but the proxies, and a version that
loses its pods loses its share within moments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headrace.contract import names
from headrace.contract.model_endpoint import ServedVersion
from headrace.routing.snapshot.fallback import former_version, with_fallback
from headrace.routing.snapshot.world import Endpoint


@dataclass(frozen=True, kw_only=True)
class RolloutSplit:
    """What a ModelEndpoint's status says of its rollout."""

    version: str
    former: str
    weight: int
    """Of `version`, in percent."""
    serving: str
    """Which version had all of the traffic before any rollout that is under way; empty where none is known."""


def rollout_splits(objects: Iterable[Mapping[str, Any]]) -> dict[str, RolloutSplit]:
    """The decisions in ModelEndpoint objects, as JSON, by the endpoint's name; of objects in their own namespace."""
    found = {}
    for item in objects:
        name, told = item["metadata"]["name"], (item.get("status") or {}).get("rollout")
        if told and item["metadata"].get("namespace") == names.endpoint_namespace(name):
            found[name] = RolloutSplit(
                version=told["version"], former=told["former"], weight=told["weight"], serving=told.get("serving", "")
            )
    return found


def version_before(endpoint: Endpoint, serving: str, pods: Mapping[str, int], created: Mapping[str, str]) -> str:
    """The version that has the traffic when a rollout begins: `serving`, as the controller has written it, or another
    that has pods, where that one has none. Empty where there is none."""
    return serving if pods.get(serving, 0) > 0 else former_version(endpoint, pods, created)


def with_rollout(
    endpoint: Endpoint,
    split: RolloutSplit | None,
    pods: Mapping[str, int],
    created: Mapping[str, str],
    *,
    staying: Mapping[str, int],
) -> Endpoint:
    """The endpoint with the weights that hold now; `pods`, `created` and `staying` as for `with_fallback`.

    A version that the controller has not decided on yet gets nothing while the version before it has pods.
    """
    (new,) = endpoint.weighted
    if split is not None and split.version == new.name:
        former, weight = split.former, split.weight
    else:
        before = split.serving if split is not None else ""
        former, weight = version_before(endpoint, before, pods, created), 100 if before == new.name else 0
    if weight == 100 or pods.get(former, 0) == 0:
        return with_fallback(endpoint, pods, created, staying=staying)
    if staying.get(new.name, 0) == 0:
        weight = 0
    elif staying.get(former, 0) == 0:
        weight = 100
    named = [
        replace(version, weight=weight if version.name == new.name else 0)
        for version in endpoint.spec.versions
        if version.name != former
    ]
    serving = ServedVersion(name=former, model_uri="", image="", weight=100 - weight)
    return replace(endpoint, spec=replace(endpoint.spec, versions=(serving, *named)))
