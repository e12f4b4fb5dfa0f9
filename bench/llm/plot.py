"""`python -m bench.llm.plot`: tokens/s and time to the first token over connections, from bench/results/llm.json."""

import json
from typing import Any, Final

from bench import plot_style
from bench.report import RESULTS

_PANELS: Final = {
    "tokens_per_second": ("Output", "tokens/s"),
    "first_token_p50_ms": ("Median time to the first token", "ms"),
}
_SYSTEMS: Final = {"vllm": ("o", "-"), "headrace": ("x", "-"), "headrace, FP8": ("s", ":")}
"""Each with its marker and line, since the front adds so little that lines lie on each other."""


def draw() -> None:
    """Writes bench/results/llm.png."""
    result = json.loads((RESULTS / "llm.json").read_text())
    figure, axes = plot_style.panels(1, len(_PANELS), height=4.0)
    handles: dict[str, Any] = {}
    for axis, (metric, (title, unit)) in zip(axes[0], _PANELS.items(), strict=True):
        shown: list[float] = []
        for system, look in _SYSTEMS.items():
            cells = [cell for cell in result["cells"] if (cell["system"], cell["metric"]) == (system, metric)]
            cells = [cell for cell in cells if cell["case"].endswith(" connections")]
            handles[plot_style.name(system)] = _line(axis, cells, system, *look)
            shown += [cell["value"] for cell in cells]
        axis.set(xlabel="connections", ylabel=unit, title=title, xscale="log")
        plot_style.scale(axis, shown)
        axis.grid(visible=True)
        counts = sorted({int(cell["case"].split()[0]) for cell in cells})
        axis.set_xticks(counts, [str(count) for count in counts], minor=False)
        axis.set_xticks([], minor=True)
    versions = result["versions"]
    figure.suptitle(f"vLLM {versions['vllm']} on one {versions['gpu']}, 8 B weights")
    plot_style.legend(figure, handles)
    plot_style.save(figure, RESULTS / "llm.png")


def _line(axis: Any, cells: list[dict[str, Any]], system: str, marker: str, line: str) -> Any:
    counts = [int(cell["case"].split()[0]) for cell in cells]
    values = [cell["value"] for cell in cells]
    spread = [
        [cell["value"] - cell["low"] for cell in cells],
        [cell["high"] - cell["value"] for cell in cells],
    ]
    colour = plot_style.colour(system)
    return axis.errorbar(counts, values, yerr=spread, marker=marker, linestyle=line, color=colour, capsize=3)


if __name__ == "__main__":
    draw()
