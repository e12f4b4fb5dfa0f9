"""EndpointCost: what the pods of an endpoint cost an hour, by the prices on its versions' autoscalers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from headrace.contract.apa import AutoscalerSpec
from headrace.contract.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EndpointCost:
    """Of one version or several, in one currency."""

    now: float
    """An hour of the pods that are ready."""
    most: float
    """An hour of as many pods as the autoscaler may order, within the budget."""
    currency: str
    """For example USD; empty where it is not told."""
    sources: tuple[str, ...]
    """Where the prices are from, each once; empty where it is not told."""

    @classmethod
    def of(cls, autoscalers: Iterable[Mapping[str, Any]]) -> Self | None:
        """From AutopilotPodAutoscalers; None without any, and where a price or a number of pods is not known or
        currencies differ."""
        found: list[tuple[AutoscalerSpec, float, int]] = []
        for item in autoscalers:
            if not (item.get("spec") or {}).get("budget"):
                return None
            try:
                spec = AutoscalerSpec.from_json(item["spec"])
            except InputError:
                return None
            ready = (item.get("status") or {}).get("readyReplicas")
            if spec.pod_cost_per_hour is None or ready is None:
                return None
            found.append((spec, spec.pod_cost_per_hour, ready))
        if len({spec.currency for spec, _, _ in found}) != 1:
            return None
        return cls(
            now=sum(price * ready for _, price, ready in found),
            most=sum(_most(spec, price) for spec, price, _ in found),
            currency=found[0][0].currency or "",
            sources=tuple(dict.fromkeys(spec.price_source for spec, _, _ in found if spec.price_source)),
        )

    def in_words(self, amount: float) -> str:
        """An amount in the currency, to two decimals; of less than a hundredth two digits, as it is not nothing."""
        number = f"{amount:.2f}" if amount == 0 or amount >= 0.01 else f"{amount:.2g}"
        return f"{number} {self.currency}".rstrip()


def _most(spec: AutoscalerSpec, price: float) -> float:
    whole = 0.0 if spec.stopped else price * spec.max_replicas
    return whole if spec.cost_per_hour is None else min(whole, spec.cost_per_hour)
