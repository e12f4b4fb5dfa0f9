"""EndpointScale: bounds within which the autoscaler sets the number of pods, as inputs, rules and manifests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from headrace.components.endpoint.sizing import Allotment
from headrace.components.endpoint.version_price import version_price, with_price
from headrace.components.kubernetes import checks
from headrace.components.kubernetes.manifests import Labels, Manifest, custom_object, role_binding
from headrace.components.platform.autoscaler import SCALE_ROLE
from headrace.components.platform.prices import Prices
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.codec import decode, read


class EndpointScale(TypedDict):
    """Bounds within which the autoscaler sets the number of pods; it finds everything else by itself."""

    min_replicas: NotRequired[int]
    """Fewest pods; 0 lets the endpoint sleep when idle. Default 1: asleep, an endpoint cannot answer at once."""
    max_replicas: NotRequired[int]
    """Most pods. Default 100: nobody is safe without a limit; a backlog once made HPA ask for 800 times the need."""
    idle_seconds: NotRequired[float]
    """Where fewest pods is 0: seconds without a request before the last pod goes. Absent: a minute, or as long as any
    other need is remembered if that is longer; a first request that waits for a start is worse than one of many."""
    max_wait_seconds: NotRequired[float]
    """Where fewest pods is 0: longest that the first caller of a version that sleeps shall wait. Where a start is
    expected to take longer, one pod is kept, with the reason `SpareKept`. Absent: it sleeps whatever a start takes."""
    cost_per_hour: NotRequired[float]
    """Most that the pods may cost together per hour, in any currency. Absent: no budget."""
    pod_cost_per_hour: NotRequired[float]
    """Price of one pod-hour in the same currency; needed with a budget."""


def scale_faults(scale: Mapping[str, Any]) -> Iterator[str]:
    """Known keys, then the rules of the object itself."""
    for fault in checks.known_keys(scale, EndpointScale.__annotations__):
        yield f"scale: {fault}"
    given = {key: value for key, value in scale.items() if key in EndpointScale.__annotations__}
    for broken in read(AutoscalerSpec, given, known={"target": "version", "stopped": None})[1]:
        yield f"scale.{broken}"


def scale_grant(namespace: str, *, labels: Labels) -> Manifest:
    """The autoscaler's right to write in this namespace."""
    return role_binding(SCALE_ROLE, names.AUTOSCALER, labels=labels, namespace=namespace)


def scale_object(
    version: str,
    namespace: str,
    *,
    labels: Labels,
    scale: Mapping[str, Any] | None,
    stopped: bool | None = None,
    platform: pulumi.Output[Mapping[str, Any]],
    node_selector: Mapping[str, pulumi.Input[str]],
    allotment: Allotment,
    gpu_memory_gib: float,
) -> Manifest:
    """The bounds of one version's Deployment, of the same name, with the price of a pod where the platform knows
    prices; the defaults where `scale` is None. Pods are of `allotment`, on nodes of `node_selector`, with GPUs of at
    least `gpu_memory_gib`.

    An update fails where bounds or no pods at all were asked for and nobody would read that. Defaults bind nobody, so
    that they may lie there until the platform runs an autoscaler.
    """
    known = {"target": version, "stopped": stopped}
    bounds = decode(AutoscalerSpec, {} if scale is None else scale, known=known)
    asked = [key for key, is_so in (("scale", scale is not None), ("stopped", stopped)) if is_so]

    def written(settled: list[Any]) -> dict[str, Any]:
        known, selector = settled
        if asked and not known.get("autoscaler"):
            _refuse_unread(namespace, asked)
        if "prices" not in known:
            return bounds.to_json()
        prices = Prices.of_setting(known["prices"])
        price = version_price(prices, allotment, gpu_memory_gib=gpu_memory_gib, node_selector=selector, scale=bounds)
        return with_price(bounds, price, prices).to_json()

    spec = pulumi.Output.all(platform, pulumi.Output.from_input(node_selector)).apply(written)
    return custom_object(names.APA_KIND, version, namespace, labels=labels, spec=spec)


def _refuse_unread(namespace: str, asked: Sequence[str]) -> None:
    subject = f"ModelEndpoint '{namespace.removeprefix('endpoint-')}'"
    remedy = "set the platform's input autoscaler to true"
    raise checks.ArgsError(
        subject, [f"{each} is given and the platform runs no autoscaler; {remedy}" for each in asked]
    )
