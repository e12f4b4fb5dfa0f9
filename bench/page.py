"""`python -m bench.page` writes docs/benchmarks.md from bench/results: no number in it is typed by hand."""

import json
from pathlib import Path
from typing import Any, Final

from bench.report import RESULTS

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_INTRODUCTION: Final = """\
# Benchmarks

Written by `python -m bench.page` from `bench/results`; a test holds the two together. Each section is the last run of
one command. A bar that a run missed says so.
"""
_COMMANDS: Final = {
    "deploy": ("Coming up, changing, going back", "make bench-deploy"),
    "toolchain": ("Building the toolchain from nothing", "make bench-toolchain"),
    "images": ("Images of models", "make bench-images"),
    "runtime": ("Runtime against other servers", "make bench-runtime"),
    "routing": ("Both proxies by the number of endpoints", "make bench-routing"),
    "soak": ("A million requests", "make soak"),
    "llm": ("vLLM on a GPU, behind the front and alone", "make bench-llm"),
    "autoscaler": ("Autoscaler against other autoscalers", "make bench-autoscaler"),
}

_VERDICTS: Final = {True: "holds", False: "**missed**", None: "not tested"}


def page(results: Path = RESULTS) -> str:
    """The text of the page."""
    sections = [_section(name, results / f"{name}.json") for name in _COMMANDS if (results / f"{name}.json").exists()]
    return "\n".join([_INTRODUCTION, *sections])


def _section(name: str, path: Path) -> str:
    title, command = _COMMANDS[name]
    result: dict[str, Any] = json.loads(path.read_text())
    machine = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items())
    rows = [
        f"| {bar['name']} | {bar['rule']} | {_number(bar['value'])} | {_VERDICTS[bar['holds']]} |"
        for bar in result["bars"]
    ]
    plots = sorted(plot.name for plot in path.parent.glob(f"{name}*.png"))
    pictures = [f"![{title}](../bench/results/{plot})" for plot in plots]
    lines = [
        f"## {title}",
        "",
        f"`{command}`. Machine: {machine}. Versions: {versions}.",
        "",
        "| bar | rule | measured | |",
        "|---|---|---|---|",
        *rows,
        "",
        *pictures,
        "",
    ]
    return "\n".join(lines)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page())
