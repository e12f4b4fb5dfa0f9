"""VersionPrice: what one pod of a version costs by the hour, for forecasts and for the autoscaler's object.

Pure. A price is written on that object alone, never on a pod, so that another price restarts nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.components.endpoint.sizing import Allotment
from headrace.components.platform.prices import PodPrice, Prices
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec


def version_price(
    prices: Prices,
    allotment: Allotment,
    *,
    gpu_memory_gib: float,
    node_selector: Mapping[str, Any],
    scale: AutoscalerSpec,
) -> PodPrice | None:
    """The user's own price of a pod, which is better than any table's; else that of its share of a node. None where
    neither is known."""
    if scale.pod_cost_per_hour is not None:
        return PodPrice(per_hour=scale.pod_cost_per_hour, reason="scale.pod_cost_per_hour")
    return prices.of_pod(
        cores=allotment.cpu_request,
        memory_gib=allotment.memory_mib / 1024,
        gpus=allotment.gpus,
        gpu_memory_gib=gpu_memory_gib,
        pool=str(node_selector.get(names.GPU_POOL_LABEL, "")),
    )


def with_price(scale: AutoscalerSpec, price: PodPrice | None, prices: Prices) -> AutoscalerSpec:
    """The bounds with the price of a pod, its currency and its source; as they are where no price is known, or a pod
    costs nothing."""
    if price is None or price.per_hour <= 0:
        return scale
    is_own = scale.pod_cost_per_hour is not None
    return replace(
        scale,
        pod_cost_per_hour=round(price.per_hour, 6),
        currency=prices.currency,
        price_source=price.reason if is_own else f"{price.reason}; {prices.source}",
    )
