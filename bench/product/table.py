"""The measures of each case side by side, as a table of Markdown for docs/benchmarks.md."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_COLUMNS: Final = (
    ("answers/s", "answers"),
    ("p50 ms", "p50"),
    ("p99 ms", "p99"),
    ("failed", "failures"),
    ("pods ordered", "most pods ordered"),
    ("ready", "most pods ready"),
    ("pod-seconds", "pod-seconds"),
    ("CPU µs a request", "CPU a request, proxies and pods"),
    ("client µs", "CPU a request, client"),
)
_MILLI: Final = ("CPU a request, proxies and pods", "CPU a request, client")
"""Kept in ms, shown in µs."""


def table(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a case and system, in the order in which they were measured; cases together."""
    values = {(cell["case"], cell["system"], cell["metric"]): cell["value"] for cell in cells}
    rows = dict.fromkeys((cell["case"], cell["system"]) for cell in cells)
    cases = list(dict.fromkeys(case for case, _ in rows))
    lines = [
        f"| case | system | {' | '.join(title for title, _ in _COLUMNS)} |",
        f"|---|---|{'---|' * len(_COLUMNS)}",
    ]
    for case, system in sorted(rows, key=lambda row: cases.index(row[0])):
        shown = [_shown(metric, values.get((case, system, metric))) for _, metric in _COLUMNS]
        lines.append(f"| {case} | {system} | {' | '.join(shown)} |")
    return lines


def _shown(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{1e3 * value:,.0f}" if metric in _MILLI else f"{value:,.4g}"
