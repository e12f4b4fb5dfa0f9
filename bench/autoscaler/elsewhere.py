"""Bars of the autoscaler that other commands measure, because they need the real cluster: read from their results.

`python -m bench.autoscaler.elsewhere` brings the committed results of `make bench-autoscaler`, and its page, up to date
with them; the commands themselves do so when they end.
"""

import json
from pathlib import Path
from typing import Any, Final

from bench.autoscaler import page
from bench.autoscaler.bars import Bar

RESULTS: Final = Path("bench/results")
_MISSING: Final = "not measured"
_MEASURED: Final = {
    "scale, real API server": (
        "autoscaler-scale",
        "10 to enough pods for 10,000 rps live in under 60 s on kwok nodes",
    ),
    "simulator against the real cluster": (
        "autoscaler-live",
        "time to capacity and pod-seconds within 15 % on a scaled-down cell",
    ),
    "simulator against bench-product": (
        "autoscaler-held",
        "time to capacity and pod-seconds within 15 % in three cases of the product",
    ),
}
"""Name of the bar: the results that decide it, and its rule."""


def bars(results: Path = RESULTS) -> list[Bar]:
    """The bars in the order of the report; one that was never measured does not hold."""
    found = []
    for name, (file, rule) in _MEASURED.items():
        path = results / f"{file}.json"
        measured: list[dict[str, Any]] = json.loads(path.read_text())["bars"] if path.exists() else []
        told = "; ".join(f"{bar['name']}: {_shown(bar['value'])} ({bar['rule']})" for bar in measured)
        holds = bool(measured) and all(bar["holds"] for bar in measured)
        found.append(Bar(name=name, rule=rule, value=told or _MISSING, holds=holds))
    return found


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def main() -> None:
    """Puts the bars into autoscaler.json, autoscaler.md and docs/autoscaler.md."""
    path = RESULTS / "autoscaler.json"
    results = json.loads(path.read_text())
    found = {bar.name: bar for bar in bars()}
    results["bars"] = [found[bar["name"]].to_json() if bar["name"] in found else bar for bar in results["bars"]]
    path.write_text(json.dumps(results, indent=1) + "\n")
    table = path.with_suffix(".md")
    lines = []
    for line in table.read_text().splitlines():
        bar = found.get(line.removeprefix("| ").partition(" | ")[0]) if line.startswith("| ") else None
        lines.append(line if bar is None else _row(bar))
    table.write_text("\n".join(lines) + "\n")
    page.main()


def _row(bar: Bar) -> str:
    return f"| {bar.name} | {bar.rule} | {bar.value} | {'yes' if bar.holds else '**no**'} |"


if __name__ == "__main__":
    main()
