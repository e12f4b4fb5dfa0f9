"""Table: forecasts of a stack's endpoints as text for a terminal, Markdown for a review, and JSON. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from headrace.components.platform.prices import Prices
from headrace.stacks.forecast.estimate import Estimate

_HEADS: Final = (
    "endpoint",
    "version",
    "runtime",
    "pods",
    "one pod",
    "GPUs",
    "least",
    "expected",
    "most",
    "surge",
    "room",
)


def text(estimates: Mapping[str, Estimate], prices: Prices, note: str = "") -> str:
    """For a terminal: columns, then what restarts, a line an endpoint."""
    rows = [_HEADS, *(_row(name, each) for name, each in estimates.items()), _sum(estimates)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"Forecast: {_unit(prices)}{note}", *lines, *_restarting(estimates)])


def markdown(estimates: Mapping[str, Estimate], prices: Prices, note: str = "") -> str:
    """For a comment on a change."""
    rows = [_HEADS, ("---",) * len(_HEADS), *(_row(name, each) for name, each in estimates.items()), _sum(estimates)]
    table = ["| " + " | ".join(row) + " |" for row in rows]
    warnings = [f"- **{name}**: {each.warning}" for name, each in estimates.items() if each.warning]
    why = [f"- {name}: {'; '.join(each.reasons)}" for name, each in estimates.items()]
    return "\n".join(
        [
            f"**Forecast**, {_unit(prices)}{note}", "", *table, "",
            *(f"- {line}" for line in _restarting(estimates)), *warnings,
            "", "<details><summary>Why these runtimes and sizes</summary>", "", *why, "", "</details>", "",
        ]
    )  # fmt: skip


def document(estimates: Mapping[str, Estimate], prices: Prices) -> dict[str, Any]:
    """For programs."""
    return {
        "currency": prices.currency,
        "source": prices.source,
        "endpoints": {name: asdict(each) for name, each in estimates.items()},
    }


def _unit(prices: Prices) -> str:
    return f"{prices.currency} an hour ({prices.source})"


def _row(name: str, each: Estimate) -> Sequence[str]:
    cost = each.cost
    return (
        name, each.version, each.runtime, f"{each.pods_least} to {each.pods_most}", each.pod, str(each.gpus_most),
        *(("-",) * 3 if cost is None else map(_money, (cost.least, cost.expected, cost.most))),
        f"+{each.surge}", "?" if each.room is None else str(each.room),
    )  # fmt: skip


def _sum(estimates: Mapping[str, Estimate]) -> Sequence[str]:
    costs = [each.cost for each in estimates.values() if each.cost is not None]
    expected = [cost.expected for cost in costs if cost.expected is not None]
    return (
        "all", "", "", f"{sum(each.pods_least for each in estimates.values())} to "
        f"{sum(each.pods_most for each in estimates.values())}", "", str(sum(e.gpus_most for e in estimates.values())),
        _money(sum(cost.least for cost in costs)), _money(sum(expected) if expected else None),
        _money(sum(cost.most for cost in costs)), "", "",
    )  # fmt: skip


def _money(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _restarting(estimates: Mapping[str, Estimate]) -> list[str]:
    told = [f"Pods replaced, {name}: {each.restarts}" for name, each in estimates.items() if each.restarts]
    asked = any(each.room is not None for each in estimates.values())
    return told if told or not asked else ["Pods replaced: none"]
