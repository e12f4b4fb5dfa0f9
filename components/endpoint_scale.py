"""EndpointScale: bounds within which the autoscaler sets the number of pods, as inputs, rules and manifests."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components import checks
from headrace.components.manifests import Labels, Manifest, custom_object, role_binding
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec

SCALE_ROLE = f"headrace-{names.AUTOSCALER}-scale"
"""ClusterRole with everything that the autoscaler writes; bound in the namespaces of endpoints."""
SCALE_RULES: Final[list[Manifest]] = [
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
    {"apiGroups": [names.API_GROUP], "resources": [names.APA_PLURAL], "verbs": ["patch"]},
    {"apiGroups": [names.API_GROUP], "resources": [f"{names.APA_PLURAL}/status"], "verbs": ["get", "patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]


class EndpointScale(TypedDict):
    """Bounds within which the autoscaler sets the number of pods; it finds everything else by itself."""

    min_replicas: NotRequired[int]
    """Fewest pods; 0 lets the endpoint sleep when idle. Default 1."""
    max_replicas: NotRequired[int]
    """Most pods. Default 100."""
    idle_seconds: NotRequired[float]
    """With min_replicas 0: seconds without a request before the last pod goes. Absent: the autoscaler decides."""
    cost_per_hour: NotRequired[float]
    """Most that the pods may cost together per hour, in any currency. Absent: no budget."""
    pod_cost_per_hour: NotRequired[float]
    """Price of one pod-hour in the same currency; needed with cost_per_hour."""


def scale_faults(scale: Mapping[str, Any]) -> Iterator[str]:
    """Known keys and numbers, then the rules of the object itself."""
    faults = [*checks.known_keys(scale, EndpointScale.__annotations__)]
    for key, value in scale.items():
        faults += checks.at_least(key, value, 0)
    if not faults:
        faults += _spec("version", scale).faults()
    for fault in faults:
        yield f"scale: {fault}"


def scale_grant(namespace: str, *, labels: Labels) -> Manifest:
    """The autoscaler's right to write in this namespace."""
    return role_binding(
        SCALE_ROLE,
        namespace,
        labels=labels,
        role=SCALE_ROLE,
        account=names.AUTOSCALER,
        account_namespace=names.SYSTEM_NAMESPACE,
    )


def scale_object(
    version: str,
    namespace: str,
    *,
    labels: Labels,
    scale: Mapping[str, Any] | None,
    platform: pulumi.Output[Mapping[str, Any]],
) -> Manifest:
    """The bounds of one version's Deployment, of the same name; the defaults where `scale` is None.

    An update fails where bounds were asked for and nobody would read them. Defaults bind nobody, so that they may lie
    there until the platform runs an autoscaler.
    """
    spec = _spec(version, scale if scale is not None else {}).to_json()
    return custom_object(
        names.APA_KIND,
        version,
        namespace,
        labels=labels,
        spec=platform.apply(
            lambda known: spec if scale is None or known.get("autoscaler") else _nobody_reads(namespace)
        ),
    )


def _nobody_reads(namespace: str) -> dict[str, Any]:
    subject = f"ModelEndpoint '{namespace.removeprefix('endpoint-')}'"
    raise checks.ArgsError(
        subject, ["scale is given and the platform runs no autoscaler; set the platform's input autoscaler to true"]
    )


def _spec(version: str, scale: Mapping[str, Any]) -> AutoscalerSpec:
    counts = {key: int(scale[key]) for key in ("min_replicas", "max_replicas") if key in scale}
    bounds: dict[str, Any] = {**scale, **counts}
    return AutoscalerSpec(target=version, **bounds)
