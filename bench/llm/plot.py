"""`python -m bench.llm.plot`: tokens/s and time to the first token over connections, from bench/results/llm.json."""

import json
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot

from bench.report import RESULTS

_PANELS = {"tokens_per_second": "output tokens/s", "first_token_p50_ms": "first token, p50, ms"}


def draw() -> None:
    """Writes bench/results/llm.png."""
    result = json.loads((RESULTS / "llm.json").read_text())
    figure, axes = pyplot.subplots(1, len(_PANELS), figsize=(9, 3.4))
    for axis, (metric, label) in zip(axes, _PANELS.items(), strict=True):
        for system, marker in (("vllm", "o"), ("headrace", "x"), ("headrace, FP8", "s")):
            cells = [cell for cell in result["cells"] if (cell["system"], cell["metric"]) == (system, metric)]
            _line(axis, [cell for cell in cells if cell["case"].endswith(" connections")], system, marker)
        axis.set(xlabel="connections", ylabel=label, xscale="log", yscale="log")
        axis.legend()
    versions = result["versions"]
    figure.suptitle(f"vLLM {versions['vllm']} on one {versions['gpu']}, alone and behind our front; 8 B weights")
    figure.tight_layout()
    figure.savefig(RESULTS / "llm.png", dpi=110)


def _line(axis: Any, cells: list[dict[str, Any]], label: str, marker: str) -> None:
    counts = [int(cell["case"].split()[0]) for cell in cells]
    values = [cell["value"] for cell in cells]
    spread = [
        [cell["value"] - cell["low"] for cell in cells],
        [cell["high"] - cell["value"] for cell in cells],
    ]
    axis.errorbar(counts, values, yerr=spread, label=label, marker=marker, capsize=3)


if __name__ == "__main__":
    draw()
